/** The API's objects as the gateway sends them: snake_case, times RFC 3339 in UTC. */

export type Tier = 'national' | 'provincial' | 'city' | 'county'
export type Role = 'caller' | 'dispatcher' | 'duty_officer' | 'operations' | 'auditor'
export type LinkStatus = 'up' | 'down' | 'never'
export type Verdict = 'live' | 'black' | 'frozen' | 'covered' | 'no_picture' | 'unproven'

export interface Page<T> {
  items: T[]
  next: string | null
}

export interface User {
  name: string
  display_name: string
  roles: Role[]
  must_change_password?: boolean
}

export interface Session {
  user: User
  token?: string
  expires_at: string
}

export interface OwnCentre {
  code: string
  name: string
  name_en: string
  tier: Tier
  version: string
  broker: { kind: string; production: boolean }
  media: { engine: string; backend: string }
  time: string
  above: Centre[]
  prometheus_url: string | null
}

export interface Centre {
  code: string
  name: string
  name_en: string
  tier: Tier
  parent: string | null
}

export interface Box {
  cpu_ratio?: number | null
  memory_ratio?: number | null
  disk_free_bytes?: number | null
  temperature_celsius?: number | null
  uptime_s?: number | null
  spool_records?: number
  spool_oldest_at?: string | null
  spool_bytes?: number
  on_battery?: boolean | null
}

export interface Link {
  node: string
  centre: string
  tier: Tier
  kind: 'agent' | 'gateway'
  direct: boolean
  status: LinkStatus
  reason: string | null
  since: string | null
  last_heartbeat_at: string | null
  rtt_ms: number | null
  version: string
  box: Box | null
  reported_by: string | null
}

export interface UpperLink {
  node: string | null
  status: LinkStatus
  reason: string | null
  since: string | null
  rtt_ms: number | null
  waiting: number
}

export interface LinkList {
  items: Link[]
  upper: UpperLink | null
}

export interface Camera {
  id: string
  centre: string
  name: string
  title: string
  kind: string
  label: string | null
  owner: string | null
  picture: { verdict: Verdict; frame_age_ms: number | null; checked_at: string | null; since?: string | null; fault?: string | null } | null
  stream: { state: string; viewers: number; codec: string | null; frame_rate: number | null; trouble?: string | null; since?: string | null; snapshot?: { taken_at: string; age_ms: number } | null } | null
  share?: Share
}

export interface MediaGrant {
  whep_url: string
  token: string
  expires_at: string
}

/** A stream that no agent speaks for, as the gateway judges it: a console's camera in a call, a foreign client. */
export type Publisher = Pick<Camera, 'id' | 'picture' | 'stream'>

export interface WallGrant {
  wall_url: string
  token: string
  expires_at: string
}

export type Share = 'county' | 'city' | 'province' | 'nation'

export type Colour = 'red' | 'orange' | 'yellow' | 'blue'

export interface Alarm {
  id: string
  source: string
  alarm_key: string
  centre: string
  sensor: string
  event_type: string
  severity: 1 | 2 | 3 | 4
  colour: Colour
  headline: string
  detail: string
  value: number | null
  unit: string | null
  condition: 'active' | 'cleared'
  acknowledged: { by: string; at: string; centre: string; note?: string } | null
  escalated: { by: string; at: string; centre: string; to: string; why: string } | null
  reopened_at: string | null
  visibility: 'shown' | 'shelved' | 'suppressed' | 'out_of_service'
  shelf: { by: string; at: string; until: string | null; reason: string } | null
  behind: string | null
  flapping: boolean
  first_raised_at: string
  last_observed_at: string
  received_at: string
  count: number
  drill: boolean
  label: string | null
}

export type Channel = 'sound' | 'email' | 'webhook' | 'sms'

/** Who was told of an alarm, with which receipt, and what comes next; `phase` null: nobody is told of such alarms. */
export interface EscalationCourse {
  phase: string | null
  due_at: string | null
  lines: { at: string; what: string; by: string; detail: string }[]
  notices: {
    id: string
    purpose: 'step' | 'assigned' | 'cleared'
    channel: Channel
    person: string
    state: 'waiting' | 'sent' | 'accepted' | 'delivered' | 'failed' | 'cancelled'
    reason: string
    created_at: string
    sent_at: string | null
    settled_at: string | null
  }[]
  coming: { at: string; what: string; people: { person: string; channel: Channel }[]; upward: boolean }[]
}

/** A person who can be told; `role` is what steps name. */
export interface ChainContact { name: string; role: string; phone: string | null; email: string | null; url: string | null }

/** Whom a step tells: everybody of a role, or one person by name. */
export interface ChainTarget { role: string | null; name: string | null; channels: Channel[] }

export interface ChainStep { after_s: number; targets: ChainTarget[]; upward: boolean }

/** The steps of one severity; none at all means that nobody is told. */
export interface ChainLadder {
  steps: ChainStep[]
  repeats: number
  repeat_every_s: number
  reopen_after_s: number | null
  silent_after_s: number | null
}

export interface Chain {
  contacts: ChainContact[]
  own: Partial<Record<string, ChainLadder>>
  handed: Partial<Record<string, ChainLadder>>
}

/** The chain in force; version 0 is the one that was shipped. `channels` are those that this centre has set up. */
export interface ChainInForce { version: number; chain: Chain; channels: Channel[] }

export interface ChainVersion { version: number; at: string; by: string; chain: Chain }

/** One line of the folded list; `centre` or `event_type` null stands for several, `within` for all centres below. */
export interface AlarmGroup {
  severity: 1 | 2 | 3 | 4
  colour: Colour
  centre: string | null
  event_type: string | null
  within: boolean
  count: number
  unacknowledged: number
  first_raised_at: string
  last_observed_at: string
  headline: string
  id: string
}

export interface Hop {
  node: string
  at: string
}

export interface AlarmEvent {
  event_id: string
  source: string
  type: string
  alarm_source: string
  alarm_key: string
  origincounter: number
  condition: string | null
  time: string
  received_at: string
  applied: boolean
  hops: Hop[]
  count: number
}

export interface AlarmPage extends Page<Alarm> {
  totals: { active: number; unacknowledged: number }
}

export type PointState =
  | 'pending'
  | 'ringing'
  | 'connecting'
  | 'verifying'
  | 'passed'
  | 'passed_with_issues'
  | 'failed'
  | 'no_answer'
  | 'link_lost'
  | 'makeup'
  | 'passed_late'
  | 'absent'
  | 'excused'
  | 'skipped'
  | 'unreachable'

/** One look at one thing of a point; `by` is `auto` or an account, `evidence` names files by their SHA-256. */
export interface Check {
  name: string
  result: 'good' | 'issue' | 'bad' | 'unproven' | 'unknown'
  defect: string | null
  value: number | string | null
  note: string
  by: string
  at: string
  evidence: string[]
}

export interface Precheck {
  ready: boolean
  findings: string[]
  /** Packets of the own picture that came back to the county; null where that could not be tried. */
  two_way?: { packets: number; lost: number; first_ms: number | null } | null
}

export interface RollCallPoint {
  centre: string
  name: string
  camera: string | null
  state: PointState
  reason: string | null
  answered_by: string | null
  answered_at: string | null
  first_frame_s: number | null
  frame_age_ms: number | null
  /** Address of the kept picture; its digest tells a newer one. */
  still: string | null
  still_sha256?: string | null
  link: string
  note: string
  settled_at: string | null
  cause?: string | null
  checks?: Check[]
  score?: number | null
  revision?: number
  decided_by?: string | null
  why?: string
  challenge?: string | null
  /** The number is out and has not come back. */
  asks_for_number?: boolean
  /** What the county said; `number_by` is who said whether the number came back. */
  answer?: { leader?: string; people?: number | null; note?: string; number_by?: string } | null
  /** What was tried before the call, or in a rehearsal. */
  precheck?: Precheck | null
  /** A higher tier asks it itself just now; it comes back to its place. */
  lent?: boolean
  /** The gateway below that asks it for us. */
  delegate?: string | null
}

export interface RollCall {
  id: string
  kind: string
  state: string
  drill: boolean
  started_at: string
  ended_at: string | null
  started_by: string
  due: number
  present: number
  absent: number
  points: RollCallPoint[]
  mode?: 'parallel' | 'sequential'
  planned_at?: string | null
  /** The centre that is named now, and the one that comes next; null where nobody is. */
  stage?: string | null
  upcoming?: string | null
  /** Who conducts. */
  seat?: string | null
  upper_node?: string | null
  gives_way_in_s?: number | null
  /** Whom a higher tier takes over then. */
  giving_way?: string[]
  /** What the order rests on. */
  ordered?: { by: string; mm: Record<string, number> } | null
  draw?: { seed?: string; commitment?: string; count: number } | null
  why?: string
}

export interface Call {
  id: string
  state: 'ringing' | 'connected' | 'ended'
  reason: string | null
  caller: { centre: string; user: string | null }
  callee: { centre: string; node: string | null; answered_by: string | null }
  started_at: string
  answered_at: string | null
  ended_at: string | null
  publish: { whip_url: string; token: string } | null
  watch: { stream: string; whep_url: string; token: string } | null
  direction: 'out' | 'in'
}

export interface Recording {
  id: string
  stream: string
  state: 'running' | 'closed' | 'removed'
  ending: string | null
  reason: string
  started_by: string
  stopped_by: string | null
  started_at: string
  ended_at: string | null
  limit_s: number | null
  seconds: number
  bytes: number
  lost: number
  files: { url: string; name: string; bytes: number; sha256: string }[]
}

export interface QuarantineRow {
  id: number
  peer: string
  lane: string
  event: { type?: string; subject?: string | null }
  code: string
  detail: string
  refused_at: string
  resent: boolean
}

export interface GapRow {
  id: number
  node: string
  epoch: string
  lane: string
  first: number
  last: number
  found_at: string
}

export interface AuditRow {
  seq: number
  at: string
  actor: string
  action: string
  target: string
  outcome: number
  address: string
}

export interface Enrolment {
  token: string
  expires_at: string
  ca_sha256: string
}

export interface ReportFigure {
  value: number
  source: string
  verification: 'verified' | 'unverified'
}

/** What a version says; fields that this page does not edit are kept as they came. */
export type ReportContent = Record<string, unknown>

export interface ReportClock {
  id: number
  rule: string
  to: string
  form: string
  grade: number
  possible: boolean
  since: string
  due: string
  article: string
  late_at: string | null
  stopped_at: string | null
  late: boolean
}

export interface ReportDelivery {
  id: string
  version: number
  to: string
  way: 'link' | 'phone'
  sent_at: string
  delivered_at: string | null
  receiver: string | null
  acknowledged_at: string | null
  acknowledged_by: string | null
  returned_at: string | null
  returned_by: string | null
  reason: string
}

export interface ReportVersion {
  version: number
  kind: string
  number: number
  corrects: number | null
  content: ReportContent
  changed: string[]
  reasons: Record<string, string>
  signed_by: string | null
  signed_at: string | null
  sent_at: string | null
}

/** One line of the list of reports. */
export interface ReportHead {
  id: string
  serial: string
  origin: string
  own: boolean
  state: string
  drill: boolean
  known_at: string
  title: string
  place: string
  kind: string
  number: number
  version: number
  signed: boolean
  sent: boolean
  confirmed: number | null
  possible: number | null
  clock: ReportClock | null
  overdue: number
  undelivered: number
  deliveries: ReportDelivery[]
}

export interface Report extends ReportHead {
  versions: ReportVersion[]
  clocks: ReportClock[]
  log: { at: string; what: string; by: string; detail: string }[]
}

/** Calls that come again. `weekdays` 0 is Monday; times are those of China; `centres` null: all below. */
export interface RollCallSchedulePlan {
  title: string
  kind: string
  mode: string
  times: string[]
  weekdays: number[]
  from_day: string | null
  to_day: string | null
  weekly_random: number
  night_from: string
  night_to: string
  centres: string[] | null
  count: number | null
  profile: string
  drill: boolean
}

export interface RollCallSchedule { id: string; at: string; by: string; enabled: boolean; plan: RollCallSchedulePlan }

/** A call that an alarm or a warning gives reason for, and that waits for the caller's word. */
export interface RollCallOffer {
  id: string
  at: string
  centres: string[]
  source: string
  reason_id: string
  centre: string
  severity: 1 | 2 | 3 | 4
  event_type: string
  headline: string
  automatic: boolean
}

/** The figures of a roll call; rates are 0 to 1, null where nothing was judged. */
export interface Tally {
  due: number
  present: number
  first: number
  makeup: number
  missing: number
  excused: number
  at_post_rate: number | null
  picture_rate: number | null
  sound_rate: number | null
  connect_s: number | null
  causes: Record<string, number>
}

/** The result sheet in the words of the form; `centres` names the unit of each row. */
export interface ResultSheet {
  title: string
  drill: boolean
  columns: string[]
  keys: string[]
  rows: string[][]
  centres: string[]
  tally: Tally
}

export interface RollCallObjection {
  id: string
  centre: string
  by: string
  noted_by: string
  at: string
  reason: string
  state: 'open' | 'upheld' | 'rejected' | 'late'
  decided_by: string | null
  answer: string | null
}

export interface RollCallReceipt {
  centre: string
  way: 'link' | 'phone'
  sent_at: string | null
  stored_at: string | null
  signed_by: string | null
  signed_at: string | null
  feedback: string
}

/** Where a roll call stands between its end and its archive. */
export interface RollCallStanding {
  roll_call_id: string
  state: string
  caller: string
  open_points: number
  review: {
    reviewed_by: string
    reviewed_at: string
    objections_until: string
    note: string
    waived_by: string | null
    waived_why: string | null
    archived_by: string | null
  } | null
  objections: RollCallObjection[]
  bulletins: { id: string; number: string; version: number; published_at: string; published_by: string; seal: string; drill: boolean }[]
  receipts: RollCallReceipt[]
}

export interface MonthRow {
  centre: string
  name: string
  due: number
  present: number
  first: number
  at_post_rate: number | null
  connect_s: number | null
  score: number | null
  picture_rate: number | null
  sound_rate: number | null
  own_faults: number
  other_faults: number
  trend: number | null
}

/** How this unit stands in a roll call from above, before it is published. */
export interface UnitResult {
  roll_call_id: string
  origin: string
  kind: string
  called_at: string
  reviewed_by: string
  objections_until: string
  result: string
  line: Record<string, string>
  drill: boolean
  objected_by: string | null
  objected_at: string | null
  reason: string | null
}

export interface ReceivedBulletin {
  id: string
  origin: string
  number: string
  version: number
  published_at: string
  received_at: string
  content: { tally: Tally; problems: string[]; praise: string[]; demands: string; remedy_by: string | null; corrects: string }
  keys?: string[]
  line: string[]
  seal: string
  drill: boolean
  signed_by: string | null
  signed_at: string | null
  feedback: string
}

export interface WarningRun {
  phase: 'offered' | 'running' | 'done'
  offered_at: string
  started_at: string | null
  started_by: string
  ended_at: string | null
  ended_by: string
  why: string
  within_s: number
  total: number
  confirmed: number
  unanswered: number
  late: number
  median_s: number | null
  next_due: string | null
}

export interface WarningHead {
  id: string
  origin: 'own' | 'received' | 'below'
  kind: 'Alert' | 'Update' | 'Cancel'
  state: string
  drill: boolean
  identifier: string
  unit: string
  replaces: string | null
  colour: number
  event_code: string
  event: string
  headline: string
  flags: string[]
  centres: string[]
  note: string
  created_at: string
  sent_at: string | null
  expires: string | null
  expired: boolean
  authors: string[]
  reviewed_by: string | null
  signed_by: string | null
  dispatched_at: string | null
  run: WarningRun | null
}

export interface WarnedArea {
  name: string
  codes: string[]
  polygon: string
}

export interface WarningContent {
  event_code: string
  event: string
  colour: number
  headline: string
  description: string
  instruction: string
  contact: string
  areas: WarnedArea[]
  onset: string | null
  expires: string | null
}

export interface WarningLetter {
  id: string
  channel: string
  person: string
  address: string | null
  state: string
  reason: string
  attempts: number
  created_at: string
  settled_at: string | null
}

export interface ListPerson {
  name: string
  post: string
  phone: string | null
  email: string | null
  url: string | null
}

export interface WarningCall {
  id: string
  target: string
  position: number
  phase: 'calling' | 'door' | 'confirmed' | 'ended'
  step: number
  began_at: string
  due_at: string | null
  confirmed_by: string | null
  confirmed_at: string | null
  late_s: number | null
  way: string | null
  noted_by: string
  note: string
  chain: ListPerson[]
  neighbour: ListPerson | null
  letters: WarningLetter[]
}

export interface Warning extends WarningHead {
  content: WarningContent
  signature: string
  public_key: string
  calls: WarningCall[]
  outlets: WarningLetter[]
  log: { at: string; what: string; by: string; detail: string }[]
}

export interface WarningIssuers {
  issuers: { unit: string; events: string[]; gravest: number }[]
  call_confirm: string
  public_feed: boolean
}

export interface CallTarget {
  name: string
  code: string
  place: [number, number] | null
  responsible: { chain: ListPerson[] }[]
  neighbour: ListPerson | null
}

export interface Outlet {
  name: string
  kind: string
  phone: string | null
  email: string | null
  url: string | null
}

export interface CallList {
  targets: CallTarget[]
  outlets: Outlet[]
}

export interface OrderRelated {
  kind: string
  id: string
  text: string
}

export interface OrderHead {
  id: string
  own: boolean
  issuer: string
  issuer_name: string
  drill: boolean
  number: string
  type: string
  urgency: 'flash' | 'urgent' | 'routine'
  title: string
  units: string[]
  authors: string[]
  created_at: string
  signed_by: string | null
  signed_at: string | null
  sent_by: string | null
  sent_at: string | null
  ack_within_s: number
  feedback_within_s: number | null
  flags: string[]
  revoked_by: string | null
  revoked_at: string | null
  revoked_why: string
  closed_by: string | null
  closed_at: string | null
  state: string
  counts: Record<string, number>
  total: number
  ack_due: string | null
  feedback_due: string | null
}

export interface OrderEntry {
  id: string
  deed: string
  by: string
  way: string
  noted_by: string
  text: string
  at: string
  stored_at: string
}

export interface OrderLine {
  unit: string
  name: string
  here: boolean
  carrier: string | null
  state: string
  reached: string
  delivered_at: string | null
  refused_why: string
  acknowledged_by: string | null
  acknowledged_at: string | null
  acknowledged_way: string | null
  reported_at: string | null
  done_at: string | null
  withdrawn_at: string | null
  overdue_at: string | null
  told: string[]
  entries: OrderEntry[]
  chases: { id: string; by: string; at: string; text: string }[]
}

export interface OrderLetter {
  ref: string
  channel: string
  person: string
  address: string | null
  state: string
  reason: string
  created_at: string
}

export interface Order extends OrderHead {
  content: string
  related: OrderRelated[]
  papers: string[]
  signature: string
  public_key: string
  lines: OrderLine[]
  letters: OrderLetter[]
  log: { at: string; what: string; by: string; detail: string }[]
}

export interface OrderContent {
  type: string
  urgency: string
  title: string
  content: string
  related: OrderRelated[]
  papers: string[]
  units: string[]
  ack_minutes: number | null
  feedback_minutes: number | null
}

export interface OrderSetup {
  units: { code: string; name: string; name_en: string; tier: string; gateway: boolean }[]
  minutes: Record<string, number>
  templates: Record<string, { title: string; content: string }>
  one_person: boolean
}

export interface OrderAnswer {
  deed: string
  text: string
  by: string
  way: string
}
