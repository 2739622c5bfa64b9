import { request } from '@/api/client'

/** The duty roster as the gateway tells it (`/api/v1/duty`). Days and months are those of China. */
export const DUTY_ROLES = ['leader', 'chief', 'officer', 'technician', 'oncall'] as const
export type DutyRole = (typeof DUTY_ROLES)[number]
export interface DutyPerson { name: string; role: DutyRole; post: string; phones: string[] }
export interface DutyShift { day: string; name: string; starts_at: string; ends_at: string; people: DutyPerson[]; missing: Partial<Record<DutyRole, number>> }
export interface CentreDuty { centre: string; name: string; known: boolean; now: DutyShift[]; next: DutyShift | null }
export interface Person { id: string; name: string; post: string; role: DutyRole; phones: string[]; valid_from: string; valid_until: string | null; account: string | null }
export interface Seat { person: string; name: string; post: string; role: DutyRole }
export interface Shift { name: string; starts_at: string; ends_at: string; needs: Partial<Record<DutyRole, number>>; seats: Seat[] }
export interface Day { day: string; version: number; hash: string; shifts: Shift[] }
export interface Finding { fault: string; day: string; shift: string; person: string; role: DutyRole | null; number: number }
export interface Roster { days: Day[]; findings: Finding[] }
export interface Swap { id: string; day: string; shift: string; out_person: string; in_person: string; reason: string; state: string; asked_by: string; decided_by: string | null }
export interface OpenItem { kind: string; id: string; text: string; severity: number | null; red: boolean }
export interface Handover { id: string; given_by: string; taken_by: string; at: string; items: OpenItem[]; remarks: string; hash: string }
export interface SheetFault { row: number; column: string; text: string }

const base = '/api/v1/duty'

async function json<T>(method: string, path: string, body?: unknown): Promise<T> {
  return (await (await request(method, `${base}${path}`, body)).json()) as T
}

export const dutyApi = {
  present: async () => (await json<{ items: CentreDuty[] }>('GET', '')).items,
  phones: (centre: string) => json<CentreDuty>('GET', `/${centre}/phones`),
  people: async () => (await json<{ items: Person[] }>('GET', '/people')).items,
  addPerson: (person: Omit<Person, 'id'>) => json<Person>('POST', '/people', person),
  plan: () => json<{ made: boolean; plan: unknown }>('GET', '/plan'),
  setPlan: (plan: unknown) => json<unknown>('PUT', '/plan', plan),
  roster: (from: string, to: string) => json<Roster>('GET', `/days?from=${from}&to=${to}`),
  save: (day: string, seats: Record<string, { person: string; role: DutyRole }[]>, version: number) =>
    json<Roster>('PUT', `/days/${day}`, { base: version, shifts: seats }),
  swaps: async () => (await json<{ items: Swap[] }>('GET', '/swaps')).items,
  askSwap: (swap: Pick<Swap, 'day' | 'shift' | 'out_person' | 'in_person' | 'reason'>) => json<Swap>('POST', '/swaps', swap),
  decide: (id: string, approve: boolean) => json<Swap>('POST', `/swaps/${id}/decision`, { approve }),
  handovers: () => json<{ items: Handover[]; open: OpenItem[] }>('GET', '/handovers'),
  handOver: (taken_by: string, password: string, remarks: string) => json<Handover>('POST', '/handovers', { taken_by, password, remarks }),
  sheetUrl: (form: 'xlsx' | 'csv', from: string, to: string) => `${base}/roster.${form}?from=${from}&to=${to}`,
  /** Send a sheet; a sheet with faults is answered with all of them, and nothing was taken. */
  async upload(file: File): Promise<{ days: number; faults: SheetFault[] }> {
    const answer = await fetch(`${base}/roster`, { method: 'POST', body: file, credentials: 'same-origin', headers: { accept: 'application/json' } })
    const body = (await answer.json().catch(() => ({}))) as { days?: number; faults?: SheetFault[]; detail?: string }
    if (body.faults) return { days: body.days ?? 0, faults: body.faults }
    return { days: 0, faults: [{ row: 0, column: '', text: body.detail ?? String(answer.status) }] }
  },
}

/** The days of a month `2026-11`, first and last. */
export function monthEnds(month: string): [string, string] {
  const [year, number] = month.split('-').map(Number) as [number, number]
  return [`${month}-01`, `${month}-${String(new Date(Date.UTC(year, number, 0)).getUTCDate()).padStart(2, '0')}`]
}

/** The month `by` months later. */
export function monthAfter(month: string, by: number): string {
  const [year, number] = month.split('-').map(Number) as [number, number]
  return new Date(Date.UTC(year, number - 1 + by, 1)).toISOString().slice(0, 7)
}

/** Empty cells before the first day in a calendar whose weeks begin on Monday. */
export function blanksBefore(day: string): number {
  return (new Date(`${day}T00:00:00Z`).getUTCDay() + 6) % 7
}

/** Today in China, whatever the zone of this screen. */
export function chinaToday(now: number): string {
  return new Date(now + 8 * 3_600_000).toISOString().slice(0, 10)
}

/** A day's seats as they are sent. */
export function seatsOf(day: Day): Record<string, { person: string; role: DutyRole }[]> {
  return Object.fromEntries(day.shifts.map((shift) => [shift.name, shift.seats.map(({ person, role }) => ({ person, role }))]))
}
