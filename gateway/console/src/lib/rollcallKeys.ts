/** One key per act of a roll call; the help overlay and the buttons' hints are made from this list. */
export const ACTS = [
  { act: 'present', key: 'Enter', shown: 'Enter' },
  { act: 'absent', key: 'a', shown: 'A' },
  { act: 'late', key: 'l', shown: 'L' },
  { act: 'issues', key: 'i', shown: 'I' },
  { act: 'failed', key: 'f', shown: 'F' },
  { act: 'next', key: 'n', shown: 'N' },
  { act: 'previous', key: 'p', shown: 'P' },
  { act: 'name', key: 'g', shown: 'G' },
  { act: 'undo', key: 'z', shown: 'Z' },
  { act: 'excuse', key: 'e', shown: 'E' },
  { act: 'skip', key: 's', shown: 'S' },
  { act: 'retest', key: 'r', shown: 'R' },
  { act: 'challenge', key: 'c', shown: 'C' },
  { act: 'confirm', key: 'y', shown: 'Y' },
  { act: 'deny', key: 'x', shown: 'X' },
  { act: 'talk', key: 't', shown: 'T' },
  { act: 'sound', key: 'm', shown: 'M' },
  { act: 'phone', key: 'd', shown: 'D' },
  { act: 'evidence', key: 'v', shown: 'V' },
  { act: 'pause', key: 'b', shown: 'B' },
  { act: 'up', key: 'ArrowUp', shown: '↑' },
  { act: 'down', key: 'ArrowDown', shown: '↓' },
  { act: 'help', key: '?', shown: '?' },
] as const

export type Act = (typeof ACTS)[number]['act']

const BY_KEY: ReadonlyMap<string, Act> = new Map(ACTS.map((one) => [one.key, one.act]))

/** The act of a key, or null. A focused button, link or film keeps its own Enter. */
export function actOf(key: string, onControl: boolean): Act | null {
  const act = BY_KEY.get(key.length === 1 ? key.toLowerCase() : key) ?? null
  return act === 'present' && onControl ? null : act
}

export function keyOf(act: Act): string {
  return ACTS.find((one) => one.act === act)?.shown ?? ''
}
