/** Numbers as operators read them. */

export function percent(ratio: number | null | undefined): string {
  return ratio === null || ratio === undefined ? '–' : `${Math.round(ratio * 100)}%`
}

export function bytes(size: number | null | undefined): string {
  if (size === null || size === undefined) return '–'
  const units = ['B', 'KB', 'MB', 'GB', 'TB']
  const power = size > 0 ? Math.min(units.length - 1, Math.floor(Math.log2(size) / 10)) : 0
  return `${(size / 1024 ** power).toFixed(power > 2 ? 1 : 0)} ${units[power]}`
}

/** A length of time as 1:02:03 or 02:03. */
export function span(seconds: number): string {
  const two = (value: number): string => String(value).padStart(2, '0')
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, Math.floor(seconds) % 60]
  return h ? `${h}:${two(m)}:${two(s)}` : `${two(m)}:${two(s)}`
}
