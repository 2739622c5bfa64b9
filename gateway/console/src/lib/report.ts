/** Rules of the report form that need no page: which number's change wants a reason, and times of the office. */

export const NUMBERS = ['deaths', 'serious', 'minor', 'missing', 'trapped', 'moved', 'loss_yuan'] as const
export const FIRST_NUMBERS = ['deaths', 'serious', 'missing', 'trapped'] as const

/** Same rule as the gateway's: it fell, vanished, or rose by more than a half. */
export function wantsReason(before: number | null, now: number | null): boolean {
  if (before === null || before === now) return false
  return now === null || now < before || 2 * (now - before) > before
}

/** A field for date and time shows Beijing time whatever the zone of the desk. */
export function toField(text: string | null | undefined): string {
  if (!text) return ''
  const at = new Date(text).getTime()
  return Number.isNaN(at) ? '' : new Date(at + 8 * 3600_000).toISOString().slice(0, 19)
}

export function fromField(text: string): string | null {
  return text ? new Date(`${text}${text.length === 16 ? ':00' : ''}+08:00`).toISOString() : null
}
