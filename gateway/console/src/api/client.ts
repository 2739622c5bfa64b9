import type {
  Alarm, AlarmEvent, AlarmGroup, AlarmPage, AuditRow, Call, Camera, Centre, Chain, ChainInForce, ChainVersion, Channel, Enrolment, EscalationCourse, GapRow, LinkList, MediaGrant, OwnCentre,
  Page, Publisher, QuarantineRow, Recording, Report, ReportContent, ReportHead, Role, RollCall, RollCallPoint, Session, User, WallGrant,
  MonthRow, ReceivedBulletin, ResultSheet, RollCallStanding, UnitResult,
  Order, OrderAnswer, OrderContent, OrderHead, OrderSetup,
  CallList, Warning, WarningContent, WarningHead, WarningIssuers,
} from './types'

/** A problem (RFC 9457) that the gateway answered, or `network` where no answer came. `detail` is for the operator. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    readonly detail: string,
    readonly retryAfter: number | null = null,
  ) {
    super(detail || code)
  }
}

let language = 'zh-CN'
let onSignedOut: () => void = () => undefined

/** Set the language that the gateway's own sentences are asked in. */
export function setApiLanguage(tag: string): void {
  language = tag
}

/** Register what happens when the gateway no longer knows this session. */
export function whenSignedOut(act: () => void): void {
  onSignedOut = act
}

interface Problem {
  code?: string
  detail?: string
  title?: string
}

async function problemOf(answer: Response): Promise<ApiError> {
  const body = (await answer.json().catch(() => ({}))) as Problem
  const wait = Number(answer.headers.get('retry-after'))
  const detail = typeof body.detail === 'string' ? body.detail : (body.title ?? '')
  return new ApiError(answer.status, body.code ?? `http_${answer.status}`, detail, wait > 0 ? wait : null)
}

export async function request(method: string, path: string, body?: unknown, quiet = false): Promise<Response> {
  const headers: Record<string, string> = { accept: 'application/json', 'accept-language': language }
  if (body !== undefined) headers['content-type'] = 'application/json'
  let answer: Response
  try {
    answer = await fetch(path, {
      method, headers, credentials: 'same-origin', body: body === undefined ? undefined : JSON.stringify(body),
    })
  } catch {
    throw new ApiError(0, 'network', '')
  }
  if (answer.ok) return answer
  const problem = await problemOf(answer)
  if (problem.status === 401 && !quiet) onSignedOut()
  throw problem
}

async function json<T>(method: string, path: string, body?: unknown, quiet = false): Promise<T> {
  const answer = await request(method, path, body, quiet)
  return (answer.status === 204 ? undefined : await answer.json()) as T
}

function query(values: Record<string, string | number | boolean | null | undefined>): string {
  const search = new URLSearchParams()
  for (const [key, value] of Object.entries(values)) {
    if (value !== undefined && value !== null && value !== '') search.set(key, String(value))
  }
  const text = search.toString()
  return text ? `?${text}` : ''
}

/** Lists come bare or as `{items, next}`; pages that show everything want the rows alone. */
function rows<T>(answer: T[] | { items: T[] }): T[] {
  return Array.isArray(answer) ? answer : answer.items
}

async function list<T>(path: string): Promise<T[]> {
  return rows(await json<T[] | Page<T>>('GET', path))
}

const v1 = '/api/v1'

export const api = {
  signIn: (username: string, password: string) =>
    json<Session>('POST', `${v1}/session`, { username, password }, true),
  session: () => json<User>('GET', `${v1}/session`, undefined, true),
  signOut: () => json<void>('DELETE', `${v1}/session`, undefined, true),
  changePassword: (old: string, fresh: string) => json<User>('POST', `${v1}/session/password`, { old, new: fresh }, true),

  centre: () => json<OwnCentre>('GET', `${v1}/centre`),
  centres: () => list<Centre>(`${v1}/centres`),
  links: () => json<LinkList>('GET', `${v1}/links`),
  cameras: () => list<Camera>(`${v1}/cameras`),
  publishers: () => list<Publisher>(`${v1}/publishers`),
  wall: () => json<WallGrant>('POST', `${v1}/wall`),
  floor: () => json<{ muted: string[] }>('GET', `${v1}/floor`),
  mute: (stream: string, muted: boolean) => json<{ muted: string[] }>('PUT', `${v1}/floor/${stream}`, { muted }),
  play: (camera: string) => json<MediaGrant>('POST', `${v1}/cameras/${camera}/play`),

  recordings: () => list<Recording>(`${v1}/recordings`),
  startRecording: (stream: string) => json<Recording>('POST', `${v1}/recordings`, { stream }),
  stopRecording: (id: string) => json<Recording>('DELETE', `${v1}/recordings/${id}`),
  removeRecording: (id: string) => json<Recording>('DELETE', `${v1}/recordings/${id}/file`),

  alarms: (filter: Record<string, string | number | boolean | null | undefined>) =>
    json<AlarmPage>('GET', `${v1}/alarms${query(filter)}`),
  alarm: (id: string) => json<Alarm>('GET', `${v1}/alarms/${encodeURIComponent(id)}`),
  acknowledge: (id: string, note: string) =>
    json<Alarm>('POST', `${v1}/alarms/${encodeURIComponent(id)}/acknowledge`, note ? { note } : {}),
  alarmGroups: () => json<{ items: AlarmGroup[] }>('GET', `${v1}/alarms/groups`),
  shelve: (id: string, minutes: number | null, reason: string) =>
    json<Alarm>('POST', `${v1}/alarms/${encodeURIComponent(id)}/shelve`, { minutes, reason }),
  escalation: (id: string) => json<EscalationCourse>('GET', `${v1}/alarms/${encodeURIComponent(id)}/escalation`),
  escalate: (id: string, why: string) =>
    json<EscalationCourse>('POST', `${v1}/alarms/${encodeURIComponent(id)}/escalate`, { why }),
  chain: () => json<ChainInForce>('GET', `${v1}/escalation/chain`),
  putChain: (base: number, chain: Chain) => json<ChainInForce>('PUT', `${v1}/escalation/chain`, { base, chain }),
  chainVersions: () => list<ChainVersion>(`${v1}/escalation/chain/versions`),
  assign: (id: string, person: Record<string, string>, channels: Channel[]) =>
    json<EscalationCourse>('POST', `${v1}/alarms/${encodeURIComponent(id)}/assign`, { person, channels }),
  showAlarm: (id: string) => json<Alarm>('DELETE', `${v1}/alarms/${encodeURIComponent(id)}/shelve`),
  alarmEvents: (alarmKey: string, source: string) =>
    json<Page<AlarmEvent>>('GET', `${v1}/alarms/events${query({ alarm_key: alarmKey, source, limit: 1000 })}`),

  reports: () => json<{ items: ReportHead[] }>('GET', `${v1}/reports`),
  report: (id: string) => json<Report>('GET', `${v1}/reports/${id}`),
  openReport: (body: { alarm_id?: string; drill?: boolean }) => json<Report>('POST', `${v1}/reports`, body),
  saveReport: (id: string, content: ReportContent, reasons: Record<string, string>) =>
    json<Report>('PUT', `${v1}/reports/${id}/draft`, { content, reasons }),
  reportStep: (id: string, step: string, body: object = {}) => json<Report>('POST', `${v1}/reports/${id}/${step}`, body),
  reportUrl: (id: string, version: number, form: 'pdf' | 'docx') => `${v1}/reports/${id}/versions/${version}/${form}`,

  warnings: () => json<{ items: WarningHead[] }>('GET', `${v1}/warnings`),
  warning: (id: string) => json<Warning>('GET', `${v1}/warnings/${id}`),
  warningIssuers: () => json<WarningIssuers>('GET', `${v1}/warnings/issuers`),
  draftWarning: (body: { unit: string; content: WarningContent; drill: boolean }) => json<Warning>('POST', `${v1}/warnings`, body),
  saveWarning: (id: string, content: WarningContent) => json<Warning>('PUT', `${v1}/warnings/${id}`, { content }),
  warningStep: (id: string, step: string, body: object = {}) => json<Warning>('POST', `${v1}/warnings/${id}/${step}`, body),
  confirmCall: (id: string, body: { by: string; way: string; note: string }) => json<Warning>('POST', `${v1}/warnings/calls/${id}/confirm`, body),
  warningCapUrl: (id: string) => `${v1}/warnings/${id}/cap`,
  warningRecordUrl: (id: string, form: 'pdf' | 'docx') => `${v1}/warnings/${id}/record/${form}`,
  orders: () => json<{ items: OrderHead[] }>('GET', `${v1}/orders`),
  order: (id: string) => json<Order>('GET', `${v1}/orders/${id}`),
  orderUrl: (id: string, form: 'pdf' | 'docx') => `${v1}/orders/${id}/${form}`,
  orderSetup: () => json<OrderSetup>('GET', `${v1}/orders/setup`),
  draftOrder: (body: { content: OrderContent; drill: boolean }) => json<Order>('POST', `${v1}/orders`, body),
  saveOrder: (id: string, content: OrderContent) => json<Order>('PUT', `${v1}/orders/${id}`, { content }),
  orderStep: (id: string, step: string, body: object = {}) => json<Order>('POST', `${v1}/orders/${id}/${step}`, body),
  chaseUnit: (id: string, unit: string, text: string) => json<Order>('POST', `${v1}/orders/${id}/units/${unit}/chase`, { text }),
  answerOrder: (id: string, unit: string, body: OrderAnswer) => json<Order>('POST', `${v1}/orders/${id}/units/${unit}/answer`, body),
  callList: () => json<{ version: number; content: CallList }>('GET', `${v1}/warnings/call-list`),
  saveCallList: (content: CallList) => json<{ version: number; content: CallList }>('PUT', `${v1}/warnings/call-list`, content),

  rollCalls: () => list<RollCall>(`${v1}/roll-calls`),
  rollCall: (id: string) => json<RollCall>('GET', `${v1}/roll-calls/${id}`),
  resultUrl: (id: string) => `${v1}/roll-calls/${id}/sheet.csv`,
  stillUrl: (id: string, point: Pick<RollCallPoint, 'centre' | 'still_sha256'>) =>
    `${v1}/roll-calls/${id}/points/${point.centre}/still${query({ of: point.still_sha256?.slice(0, 12) })}`,

  rollCallStanding: (id: string) => json<RollCallStanding>('GET', `${v1}/roll-calls/${id}/review`),
  rollCallStep: (id: string, step: string, body: object = {}) => json<RollCallStanding>('POST', `${v1}/roll-calls/${id}/${step}`, body),
  rollCallSheet: (id: string) => json<ResultSheet>('GET', `${v1}/roll-calls/${id}/sheet.json`),
  sheetUrl: (id: string, form: string) => `${v1}/roll-calls/${id}/sheet.${form}`,
  bulletinUrl: (id: string, form: string, audience: string) => `${v1}/roll-calls/${id}/bulletin.${form}?audience=${audience}`,
  rollCallMonth: (month: string) => list<MonthRow>(`${v1}/roll-calls/monthly${query({ month })}`),
  monthUrl: (month: string, form: string) => `${v1}/roll-calls/monthly${query({ month, form })}`,
  unitResults: () => list<UnitResult>(`${v1}/roll-call-results`),
  objectTo: (id: string, reason: string) => json<{ items: UnitResult[] }>('POST', `${v1}/roll-call-results/${id}/object`, { reason }),
  bulletins: () => list<ReceivedBulletin>(`${v1}/bulletins`),
  bulletin: (id: string) => json<ReceivedBulletin>('GET', `${v1}/bulletins/${id}`),
  signBulletin: (id: string, feedback: string) => json<ReceivedBulletin>('POST', `${v1}/bulletins/${id}/sign`, { feedback }),
  receivedUrl: (id: string, form: string) => `${v1}/bulletins/${id}/print.${form}`,

  calls: () => list<Call>(`${v1}/calls`),
  call: (id: string) => json<Call>('GET', `${v1}/calls/${id}`),
  startCall: (centre: string) => json<Call>('POST', `${v1}/calls`, { centre }),
  answerCall: (id: string) => json<Call>('POST', `${v1}/calls/${id}/answer`),
  hangUp: (id: string) => json<Call>('POST', `${v1}/calls/${id}/hangup`),

  quarantine: () => list<QuarantineRow>(`${v1}/quarantine`),
  resend: (id: string | number) => json<void>('POST', `${v1}/quarantine/${id}/resend`),
  gaps: () => list<GapRow>(`${v1}/gaps`),

  users: () => list<User>(`${v1}/users`),
  addUser: (user: { name: string; display_name: string; roles: Role[] }) =>
    json<{ user: User; password: string }>('POST', `${v1}/users`, user),
  enrol: (node: string) => json<Enrolment>('POST', `${v1}/enrolments`, { node }),
  /** The newest records of the audit chain, oldest first; its numbers count from 1 without a hole. */
  audit: async (count: number) => {
    const { records } = await json<{ records: number }>('GET', `${v1}/audit/verdict`)
    return list<AuditRow>(`${v1}/audit${query({ after: Math.max(0, records - count), limit: count })}`)
  },
}
