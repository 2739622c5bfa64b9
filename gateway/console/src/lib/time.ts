/** Dates as offices write them: 2026年11月23日 09:05:07, always 24 h, always Asia/Shanghai. */

const parts = new Intl.DateTimeFormat('zh-CN', {
  timeZone: 'Asia/Shanghai', hourCycle: 'h23', year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit',
  minute: '2-digit', second: '2-digit',
})

type Fields = Record<'year' | 'month' | 'day' | 'hour' | 'minute' | 'second', string>

function fields(at: Date): Fields {
  return Object.fromEntries(parts.formatToParts(at).map((part) => [part.type, part.value])) as Fields
}

export function clock(at: Date): string {
  const f = fields(at)
  return `${f.hour}:${f.minute}:${f.second}`
}

export function longDate(at: Date, locale: string): string {
  const f = fields(at)
  return locale.startsWith('zh') ? `${f.year}年${f.month}月${f.day}日` : `${f.year}-${f.month}-${f.day}`
}

/** Time of day, with the day in front unless it is today's. */
export function shortTime(text: string | null | undefined, now: Date = new Date()): string {
  if (!text) return '–'
  const at = new Date(text)
  if (Number.isNaN(at.getTime())) return '–'
  const f = fields(at)
  const t = fields(now)
  const today = f.year === t.year && f.month === t.month && f.day === t.day
  return today ? clock(at) : `${f.month}-${f.day} ${clock(at)}`
}

/** Full time with milliseconds, for time stamps of hops. */
export function preciseTime(text: string | null | undefined): string {
  if (!text) return '–'
  const at = new Date(text)
  if (Number.isNaN(at.getTime())) return '–'
  const f = fields(at)
  return `${f.month}-${f.day} ${clock(at)}.${String(at.getUTCMilliseconds()).padStart(3, '0')}`
}

export function seconds(value: number | null | undefined, digits = 1): string {
  return value === null || value === undefined ? '–' : `${value.toFixed(digits)} s`
}

export function duration(fromMs: number, toMs: number): string {
  const total = Math.max(0, Math.floor((toMs - fromMs) / 1000))
  const two = (n: number): string => String(n).padStart(2, '0')
  const hours = Math.floor(total / 3600)
  return `${hours ? `${two(hours)}:` : ''}${two(Math.floor(total / 60) % 60)}:${two(total % 60)}`
}
