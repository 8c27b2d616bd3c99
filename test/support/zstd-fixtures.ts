/** The content of the fixtures: short lines, and a long run between two copies of the same noise, in several blocks. */
export const text = Buffer.from(
  Array.from({ length: 40 }, (_, index) => `layer ${index} of image ${(index * index) % 97}\n`).join(''),
);
const piece = noise(300);
export const distant = Buffer.concat([piece, Buffer.alloc(300_000, 'abcdefg'), piece]);

const made = {
  // zstd -3 --no-check <
  fast:
    'KLUv/QBYLQUAwocUFLCn2IANhZaG6TBl5eaWKaXuRC4GxH82abJ5j1ubajNaTL+aCdXcxJnxrya2lEqdbXT1m6blYk3aze2m7lPpnPOUJKQ4AgZB' +
    'UAAKhRSG42AMAk6oUZi+/waQ46Q5EBQICXvglmLSdSqOSowa+PYLANxa90xfPwpH9VXYJG8sLscPrTcd7F9mdEMsIr4lCdDnZICQ9fTYEbhVguwJ' +
    'vENLA6gK',
  // zstd -19 --check
  strong:
    'KLUv/WQ3An0EABIKGBKwGRvAPORVKqlIdnfvlFI7wYGAWd4Q397r9lo9kW7/VD5if56XpRE9daY0n8pNMtFtab9qdzyX/bGVV5u1rwZU33vkkttP' +
    'i0mGSWe3clkpT26BCYZCQIyASIIJlGERjk6oITC9/TPgrQYQFDH6LSmPqnHRrNoqmV5EVms/p3YUi5QSfVS2UJwdNJCqz/+cxA==',
  // zstd -19 --check
  far:
    'KLUv/aQ4lgQA7AkANBPGfoFrS/vi+1T2vd98HOGHAb8x3lZyD0dnZodZqog8WepWE3vShaHYPFRVLzeuZVvaAnmYzOMado5f2ZmPHz827kN4TQ36' +
    'vqba5IaO3CltTv9W4XAg+4+xWAWQxQncU82qO0iZUtNSnQaf6rXCBhOYSbIBHqwyiDGcUkaVcTaPV/Y5HRb6iHT1mHwXXEG7bXGOD3BZxwEbLzM9' +
    'kcAdpQ0NqzONfl6PPuZodKY6scOTEahkx9vK4GDh878JAGei4yWgITGH1WLFqE9+LglrlJ+wbameWgtGcIC2z0cMpqUq2Kz7oOu3eSRyI5JIgMWm' +
    'p4W314yQ5KtjRFJm45wzJfleqrpzYF1LcX6+qYxXGXHDyl7lKjOsiFFmoXt1Z2Saae9vVkKgHVHFAve7kkVhYmNkZWZnAQAzyv7KyxREAAAAAQD9' +
    '/8oLEG0AAAACACkPlSAVEio6AAL7a75G',
  // zstd --ultra -22 --long=27 --check <
  long:
    'KLUv/QSIfQQAEgoYErAZG8A85FUqqUh2d++UUjvBgYBZ3hDf3uv2Wj2Rbv9UPmJ/npelET11pjSfyk0y0W1pv2p3PJf9sZVXm7WvBlTfe+SS20+L' +
    'SYZJZ7dyWSlPboEJhkJAjIBIggmUYRGOTqghML39M+CtBhAUMfotKY+qcdGs2iqZXkRWaz+ndhSLlBJ9VLZQnB00kKrP/5zE',
};

/** Frames made by zstd 1.5.4, with their content. */
export const zstdFixtures: Readonly<Record<string, { readonly packed: Buffer; readonly content: Buffer }>> = {
  'level 3, size untold, no checksum': { packed: Buffer.from(made.fast, 'base64'), content: text },
  'level 19, size and checksum told': { packed: Buffer.from(made.strong, 'base64'), content: text },
  'several blocks, a match over 300 kB': { packed: Buffer.from(made.far, 'base64'), content: distant },
  'a window of 128 MiB': { packed: Buffer.from(made.long, 'base64'), content: text },
};

function noise(length: number): Buffer {
  let state = 1;
  return Buffer.from(
    Array.from({ length }, () => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      return (state >>> 16) & 0xff;
    }),
  );
}
