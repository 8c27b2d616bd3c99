/** Sets an entry of a map that keeps `most` of them: the one that was set longest ago is left out, and returned. */
export function remember<T>(map: Map<string, T>, key: string, value: T, most = 1000): T | undefined {
  map.delete(key);
  map.set(key, value);
  const [oldest] = map;
  if (map.size <= most || !oldest) return undefined;
  map.delete(oldest[0]);
  return oldest[1];
}
