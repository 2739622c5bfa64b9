import { api } from '@/api/client'
import { Backoff } from './backoff'
import { fragmentOf, restartedAnswer } from './iceRestart'
import { endSession, localOffer, postOffer, SignalError } from './signal'
import { isGone, type MediaRestart } from './mediaRestart'

export type SlotKind = 'video' | 'audio'
export type LayerName = 'main' | 'thumb'

export interface SlotWish {
  stream: string
  layer: LayerName
  priority: number
}

/** What the gateway says of a slot, and when this page heard it (performance.now). */
export interface SlotTold {
  stream: string | null
  showing: string
  why: string | null
  since: string
  heardAt: number
}

export interface SlotEvent {
  session: string
  kind: SlotKind
  index: number
  stream: string | null
  showing: string
  why: string | null
  since: string
}

/** Who speaks and who is heard on a wall or in a call (`of`). */
export interface FloorEvent {
  of: string
  speaker: string | null
  heard: string[]
  muted: string[]
}

/** Sounds that one wall can play at once: the places of the floor. */
export const SOUNDS = 3

export type WallState = 'connecting' | 'open' | 'retrying' | 'closed'

/** The ladder's steps in milliseconds: a wall without any picture is restarted, then made anew; stills come meanwhile. */
export const DARK_MS = 6000
export const RESTART_MS = 4000
export const SHAKY_MS = 2000
export const STILLS_AFTER_MS = 5000
const HIDDEN_MS = 1000
const FLUSH_MS = 20
const LOOK_MS = 500
const ASK_AGAIN_MS = 3000

export type Step = 'none' | 'ice_restart' | 'anew'

/** Decide the next step of the ladder; pure, so that the rule can be tested. All times are milliseconds, null: never. */
export function nextStep(darkMs: number, shakyMs: number | null, failed: boolean, restartedMs: number | null): Step {
  const broken = failed || (shakyMs !== null && shakyMs > SHAKY_MS) || darkMs > DARK_MS
  if (!broken) return 'none'
  if (restartedMs === null) return 'ice_restart'
  return restartedMs > RESTART_MS ? 'anew' : 'none'
}

/** What must be sent so that the gateway's slots are as wished; `sent` holds the last words as JSON. */
export function differences(wishes: ReadonlyMap<string, SlotWish | null>, sent: ReadonlyMap<string, string>, paused: boolean): [string, SlotWish | null][] {
  const out: [string, SlotWish | null][] = []
  for (const [key, wish] of wishes) {
    const effective = paused ? null : wish
    if ((sent.get(key) ?? 'null') !== JSON.stringify(effective)) out.push([key, effective])
  }
  return out
}

const SHOWN = new Set(['main', 'thumb', 'sound'])

/** One peer connection with many slots. It never gives up: only `close` ends it. */
export class WallSession {
  state: WallState = 'connecting'
  reason: string | null = null
  tries = 0
  readonly sounds = Array.from({ length: SOUNDS }, () => new MediaStream())
  private readonly pictures: MediaStream[]
  private readonly wishes = new Map<string, SlotWish | null>()
  private readonly sent = new Map<string, string>()
  private readonly told = new Map<string, SlotTold>()
  private peer: RTCPeerConnection | null = null
  private session: string | null = null
  private token = ''
  private attempt = 0
  private readonly backoff = new Backoff(0.5, 8)
  private retryTimer = 0
  private flushTimer = 0
  private lookTimer = 0
  private hideTimer = 0
  private paused = document.hidden
  /** Newest frame of any pane, or the moment from which none is expected to be missed. */
  private frameAt = performance.now()
  /** The same over all connections: what the operator has gone without. */
  private seenAt = performance.now()
  private shakyAt: number | null = null
  private restartedAt: number | null = null
  private askedAt = 0
  private sending = false
  /** Streams whose floor this wall hears; null: it has sounds of its own choice, or none. */
  private voices: string[] | null = null
  private floorSent = ''

  constructor(private readonly slots: number) {
    this.pictures = Array.from({ length: slots }, () => new MediaStream())
  }

  open(): void {
    document.addEventListener('visibilitychange', this.onVisibility)
    this.lookTimer = window.setInterval(() => this.look(), LOOK_MS)
    void this.connect()
  }

  close(): void {
    document.removeEventListener('visibilitychange', this.onVisibility)
    this.attempt += 1
    for (const timer of [this.retryTimer, this.flushTimer, this.hideTimer]) window.clearTimeout(timer)
    window.clearInterval(this.lookTimer)
    this.drop()
    this.state = 'closed'
  }

  /** Begin anew at once if the media worker that died had this session. */
  lost(event: MediaRestart): void {
    if (isGone(event, this.session)) this.restart('media_restart')
  }

  /** Make a new wall at once. */
  restart(reason: string): void {
    if (this.state === 'closed') return
    this.backoff.reset()
    this.again(reason, 0.1)
  }

  picture(index: number): MediaStream | null {
    return this.pictures[index] ?? null
  }

  /** Say what a slot shall show; nothing empties it. Words of one moment go out together. */
  assign(kind: SlotKind, index: number, wish: SlotWish | null): void {
    const key = `${kind}/${index}`
    if (!wish && !this.wishes.get(key)) return
    this.wishes.set(key, wish)
    if (this.told.get(key)?.stream !== wish?.stream) this.told.delete(key)
    this.plan()
  }

  /** Hear those who speak, of these streams; null ends it. Sound slots must not be assigned meanwhile. */
  listen(voices: string[] | null): void {
    this.voices = voices
    this.plan()
  }

  /** Whether an event of the floor is about this wall. */
  hears(event: FloorEvent): boolean {
    return this.session?.endsWith(`/${event.of}`) ?? false
  }

  slot(kind: SlotKind, index: number): SlotTold | null {
    return this.told.get(`${kind}/${index}`) ?? null
  }

  /** Whether pictures come so badly that stills shall stand in. */
  get failing(): boolean {
    const broken = this.state !== 'open' || this.restartedAt !== null || this.backoff.tries > 0
    return !this.paused && broken && performance.now() - this.seenAt > STILLS_AFTER_MS
  }

  /** Take an event of the gateway; other walls' are ignored. */
  heard(event: SlotEvent): void {
    if (this.session?.endsWith(`/${event.session}`)) this.note(event)
  }

  /** Take that some pane showed a fresh frame: the connection works. */
  seen(): void {
    this.frameAt = this.seenAt = performance.now()
    this.restartedAt = null
    this.backoff.reset()
  }

  private note(event: Omit<SlotEvent, 'session'>): void {
    const key = `${event.kind}/${event.index}`
    const wish = this.wishes.get(key)
    if ((wish?.stream ?? null) !== event.stream) return
    const former = this.told.get(key)
    const same = former && former.stream === event.stream && former.showing === event.showing
    const heardAt = same ? former.heardAt : performance.now()
    this.told.set(key, { stream: event.stream, showing: event.showing, why: event.why, since: event.since, heardAt })
  }

  private readonly onVisibility = (): void => {
    window.clearTimeout(this.hideTimer)
    const change = (): void => {
      this.paused = document.hidden
      this.frameAt = this.seenAt = performance.now()
      this.told.clear()
      this.plan()
    }
    // A glance at another window is no reason to give everything back; a minute is.
    if (document.hidden) this.hideTimer = window.setTimeout(change, HIDDEN_MS)
    else if (this.paused) change()
  }

  private async connect(): Promise<void> {
    const attempt = ++this.attempt
    this.state = 'connecting'
    this.tries = this.backoff.tries
    try {
      const grant = await api.wall()
      if (attempt !== this.attempt) return
      const peer = this.makePeer(attempt)
      const answer = await postOffer(grant.wall_url, grant.token, await localOffer(peer))
      if (attempt !== this.attempt) return endSession(answer.session, grant.token)
      this.session = answer.session
      this.token = grant.token
      await peer.setRemoteDescription({ type: 'answer', sdp: answer.sdp })
      if (attempt !== this.attempt) return
      this.state = 'open'
      this.frameAt = performance.now()
      this.sent.clear()
    this.floorSent = ''
      this.plan()
    } catch (error) {
      if (attempt === this.attempt) this.again(codeOf(error))
    }
  }

  private makePeer(attempt: number): RTCPeerConnection {
    const peer = new RTCPeerConnection({ bundlePolicy: 'max-bundle' })
    this.peer = peer
    const streams = [...this.pictures, ...this.sounds]
    streams.forEach((stream, at) => {
      const { receiver } = peer.addTransceiver(at < this.slots ? 'video' : 'audio', { direction: 'recvonly' })
      for (const old of stream.getTracks()) stream.removeTrack(old)
      stream.addTrack(receiver.track)
    })
    peer.onconnectionstatechange = () => {
      if (attempt !== this.attempt) return
      const shaky = peer.connectionState === 'disconnected' || peer.connectionState === 'failed'
      this.shakyAt = shaky ? (this.shakyAt ?? performance.now()) : null
    }
    return peer
  }

  private plan(): void {
    window.clearTimeout(this.flushTimer)
    this.flushTimer = window.setTimeout(() => void this.flush(), FLUSH_MS)
  }

  private async flush(): Promise<void> {
    const attempt = this.attempt
    if (this.sending || !this.session || this.state !== 'open') return
    const changes = differences(this.wishes, this.sent, this.paused)
    const floor = this.voices && !this.paused ? JSON.stringify({ voices: this.voices, places: SOUNDS }) : ''
    if (!changes.length && floor === this.floorSent) return
    this.sending = true
    try {
      if (floor !== this.floorSent) {
        await this.call('PUT', 'floor', floor || JSON.stringify({ voices: [] }))
        if (attempt !== this.attempt) return
        this.floorSent = floor
      }
      if (!changes.length) return this.plan()
      const body = changes.map(([key, wish]) => {
        const [kind, index] = key.split('/')
        return { kind, index: Number(index), stream: wish?.stream ?? null, layer: wish?.layer ?? 'main', priority: wish?.priority ?? 2 }
      })
      const items = await this.slotsCall('PUT', body)
      if (attempt !== this.attempt) return
      for (const [key, wish] of changes) this.sent.set(key, JSON.stringify(wish))
      for (const item of items) this.note(item)
      this.plan()
    } catch (error) {
      if (attempt === this.attempt) this.again(codeOf(error))
    } finally {
      this.sending = false
    }
  }

  private async slotsCall(method: 'PUT' | 'GET', body?: unknown): Promise<Omit<SlotEvent, 'session'>[]> {
    const answer = await this.call(method, 'slots', body ? JSON.stringify(body) : undefined)
    return ((await answer.json()) as { items: Omit<SlotEvent, 'session'>[] }).items
  }

  private async call(method: 'PUT' | 'GET', what: 'slots' | 'floor', body?: string): Promise<Response> {
    const headers: Record<string, string> = { authorization: `Bearer ${this.token}` }
    if (body) headers['content-type'] = 'application/json'
    let answer: Response
    try {
      answer = await fetch(`${this.session ?? ''}/${what}`, { method, headers, credentials: 'omit', body })
    } catch {
      throw new SignalError('network', 0)
    }
    if (!answer.ok) {
      const told = (await answer.json().catch(() => ({}))) as { code?: string }
      throw new SignalError(told.code ?? `http_${answer.status}`, answer.status)
    }
    return answer
  }

  private look(): void {
    const now = performance.now()
    if (this.paused || document.hidden || this.state !== 'open') return
    const shown = [...this.told.values()].filter((one) => one.stream && SHOWN.has(one.showing) && one.showing !== 'sound')
    // Connected and nothing to be shown: the sources are away, which is no fault of this connection.
    if (!shown.length && this.peer?.connectionState === 'connected') this.frameAt = this.seenAt = now
    this.catchUp(now)
    const since = (at: number | null): number | null => (at === null ? null : now - at)
    const step = nextStep(now - this.frameAt, since(this.shakyAt), this.peer?.connectionState === 'failed', since(this.restartedAt))
    if (step === 'ice_restart') void this.restartIce()
    else if (step === 'anew') this.again(this.shakyAt === null ? 'no_frame' : 'ice')
  }

  /** An event may be missed while the event stream is away: slots that stay dark are asked for. */
  private catchUp(now: number): void {
    const dark = [...this.wishes].some(([key, wish]) => wish && !SHOWN.has(this.told.get(key)?.showing ?? ''))
    if (!dark || now - this.askedAt < ASK_AGAIN_MS) return
    this.askedAt = now
    const attempt = this.attempt
    this.slotsCall('GET').then(
      (items) => attempt === this.attempt && items.forEach((item) => this.note(item)),
      (error: unknown) => attempt === this.attempt && error instanceof SignalError && error.status === 404 && this.again('not_found'),
    )
  }

  private async restartIce(): Promise<void> {
    const { peer, session, attempt } = this
    this.restartedAt = performance.now()
    this.reason = 'ice'
    if (!peer || !session || peer.signalingState !== 'stable') return
    try {
      const standing = peer.remoteDescription?.sdp ?? ''
      peer.restartIce()
      const offer = await localOffer(peer)
      const answer = await fetch(session, {
        method: 'PATCH', body: fragmentOf(offer), credentials: 'omit',
        headers: { authorization: `Bearer ${this.token}`, 'content-type': 'application/trickle-ice-sdpfrag', 'if-match': '*' },
      })
      if (answer.status !== 200) throw new SignalError(`http_${answer.status}`, answer.status)
      const sdp = restartedAnswer(standing, await answer.text())
      if (attempt === this.attempt) await peer.setRemoteDescription({ type: 'answer', sdp })
    } catch (error) {
      if (attempt === this.attempt) this.again(codeOf(error))
    }
  }

  private again(reason: string, wait = this.backoff.next()): void {
    this.attempt += 1
    this.drop()
    this.state = 'retrying'
    this.reason = reason
    this.tries = this.backoff.tries
    window.clearTimeout(this.retryTimer)
    this.retryTimer = window.setTimeout(() => void this.connect(), wait * 1000)
  }

  private drop(): void {
    endSession(this.session, this.token, this.peer)
    this.peer = null
    this.session = null
    this.shakyAt = null
    this.restartedAt = null
    this.told.clear()
    this.sent.clear()
    this.floorSent = ''
  }
}

function codeOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string' ? error.code : 'network'
}

