import { request } from '@/api/client'
import type { PointState, RollCall, RollCallOffer, RollCallSchedule, RollCallSchedulePlan } from '@/api/types'

/** The roll call as the gateway tells it (`/api/v1/roll-calls`): what a seat can ask of it beyond reading. */
export const KINDS = ['daily', 'holiday', 'flood', 'random', 'triggered', 'makeup', 'test'] as const
export type Kind = (typeof KINDS)[number]
export const MODES = ['sequential', 'parallel'] as const
export type Mode = (typeof MODES)[number]

export const ORDERS = ['code', 'random', 'worst_first', 'rainfall'] as const
export type Order = (typeof ORDERS)[number]

export interface Plan {
  kind: Kind
  mode: Mode
  centres: string[] | null
  at: string | null
  profile: string
  drill: boolean
  /** Draw so many by lot; the seed proves the draw. */
  count: number | null
  /** Another order than the profile's. */
  order?: Order | null
}

/** A higher tier calls counties of this subtree itself. */
export interface Inspection {
  roll_call_id: string
  by_centre: string
  centres: string[]
  kind: string
  began_at: string
}

/** What the tree's button starts: everything as usual, now, for these centres. */
export function ordinary(centres: string[]): Plan {
  return { kind: 'daily', mode: 'parallel', centres, at: null, profile: 'default', drill: false, count: null }
}

export interface Evidence {
  /** Its place in the chain. */
  seq: number
  kind: 'still' | 'clip' | 'sound' | 'series' | 'record'
  sha256: string
  octets: number
  media_type: string
  taken_at: string
  note: string
  /** Its address. */
  file: string
}

const base = '/api/v1/roll-calls'

async function json<T>(method: string, path: string, body?: unknown): Promise<T> {
  const answer = await request(method, `${base}${path}`, body)
  return (answer.status === 204 ? undefined : await answer.json()) as T
}

const point = (id: string, centre: string, step: string): string => `/${id}/points/${centre}/${step}`

export const rollCallApi = {
  plan: (plan: Plan) => json<RollCall>('POST', '', plan),
  step: (id: string, step: 'start' | 'pause' | 'resume' | 'next' | 'cancel' | 'finish' | 'seat', body: object = {}) => json<RollCall>('POST', `/${id}/${step}`, body),
  verdict: (id: string, centre: string, state: PointState, why: string) => json<RollCall>('POST', point(id, centre, 'verdict'), { state, why }),
  aside: (id: string, centre: string, step: 'excuse' | 'skip', why: string) => json<RollCall>('POST', point(id, centre, step), { why }),
  retest: (id: string, centre: string) => json<RollCall>('POST', point(id, centre, 'retest'), {}),
  /** Show a number at the far side, or say whether it came back. */
  challenge: (id: string, centre: string, confirmed: boolean | null = null) => json<RollCall>('POST', point(id, centre, 'challenge'), { confirmed }),
  inspections: async () => (await json<{ items: Inspection[] }>('GET', '/inspections')).items,
  evidence: async (id: string, centre: string) => (await json<{ items: Evidence[] }>('GET', point(id, centre, 'evidence'))).items,
  offers: async () => (await json<{ items: RollCallOffer[] }>('GET', '/offers')).items,
  acceptOffer: (id: string) => json<RollCall>('POST', `/offers/${id}/accept`),
  declineOffer: (id: string) => json<void>('POST', `/offers/${id}/decline`),
  schedules: async () => (await json<{ items: RollCallSchedule[] }>('GET', '/schedules')).items,
  addSchedule: (plan: RollCallSchedulePlan, enabled = true) => json<RollCallSchedule>('POST', '/schedules', { plan, enabled }),
  putSchedule: (id: string, plan: RollCallSchedulePlan, enabled: boolean) => json<RollCallSchedule>('PUT', `/schedules/${id}`, { plan, enabled }),
  removeSchedule: (id: string) => json<void>('DELETE', `/schedules/${id}`),
  profiles: () => json<{ items: { name: string; version: number }[] }>('GET', '/profiles'),
}
