/** Sets an entry of a map that keeps at most `most`: the one that was set longest ago is removed and returned. */
export function remember<T>(map: Map<string, T>, key: string, value: T, most = 1000): T | undefined {
  map.delete(key);
  map.set(key, value);
  const [oldest] = map;
  if (map.size <= most || !oldest) return undefined;
  map.delete(oldest[0]);
  return oldest[1];
}
