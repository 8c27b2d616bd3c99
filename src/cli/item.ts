import { type ClientEvent, isIndexType, isManifestType } from '../index.ts';

/** What is known of one content. */
export interface Item {
  readonly digest: string;
  mediaType: string;
  readonly size: number;
  /** `queued` until it is its turn. */
  stage: 'queued' | 'begun' | 'waiting' | 'present' | 'stored' | 'skipped';
  position: number;
  /** Where it went on from an earlier time; 0 where it began at its beginning. */
  resumedAt: number;
  /** Who serves it. */
  host?: string;
  /** Who served any of it since it was begun. */
  readonly hosts: Set<string>;
  /** Times that another host took over from one that had served some of it. */
  switches: number;
  /** The last of them. */
  takeover?: ClientEvent;
  /** Where its bytes were wrong, so that it began again: who gave the last of them, and whether all. */
  wrong?: { readonly host: string; readonly isSole: boolean };
  /** All of it was read, and is right; it may have to wait until it is stored. */
  isVerified: boolean;
  /** When it was begun, and when it was done. Milliseconds. */
  begun: number;
  done?: number;
  /** Of the last seconds: when, and where it stood. */
  readonly samples: { readonly time: number; readonly position: number }[];
}

/** Bytes in a second, of late; undefined before that can be told. */
export function rateOf({ samples, stage, position, size }: Item, time: number): number | undefined {
  const [first] = samples;
  const last = samples.at(-1);
  if (stage !== 'begun' || !first || !last || position === size || time - first.time < 200) return undefined;
  return Math.max(0, ((last.position - first.position) / (time - first.time)) * 1000);
}

/** A manifest that is here, and waits for what it lists. */
export const isRead = ({ stage, isVerified, mediaType }: Item): boolean =>
  stage === 'begun' && isVerified && (isManifestType(mediaType) || isIndexType(mediaType));

export const isUnderWay = (item: Item): boolean =>
  (item.stage === 'begun' && !isRead(item)) || item.stage === 'waiting';

export const isDone = ({ stage }: Item): boolean => stage === 'present' || stage === 'stored' || stage === 'skipped';
