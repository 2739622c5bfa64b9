import { Backoff } from './backoff'
import { endSession, localOffer, mediaUrl, postOffer, SignalError } from './signal'
import { isGone, type MediaRestart } from './mediaRestart'

/**
 * What one pane truthfully shows. `live` is said only after a decoded frame, `stalled` once none came for a while;
 * the player itself never gives up: it leaves `retrying` only by success or by `close`.
 */
export type PlayState = 'connecting' | 'live' | 'stalled' | 'retrying' | 'closed'

export interface PlayReport {
  state: PlayState
  /** Code of the last failure: an API code, `no_frame`, `ice`, `network`, `media_restart`. */
  reason: string | null
  /** Milliseconds since the newest frame was shown; null before the first. */
  frameAgeMs: number | null
  /** Seconds from asking to the first shown frame of the present connection. */
  firstFrameS: number | null
  frames: number
  width: number
  height: number
  tries: number
  /** Since when the gateway has given this reason; RFC 3339. */
  since?: string | null
  /** A decoded still in place of the moving picture, and its age. */
  still?: { url: string; ageMs: number } | null
}

export interface Grant {
  whep_url: string
  token: string
}

export const STALLED_AFTER_MS = 3000
export const NO_FRAME_AFTER_MS = 12000
const LOOK_EVERY_MS = 500

/** Decide a pane's state from the age of its newest frame; pure, so that the rule can be tested. */
export function judge(state: PlayState, sinceFrameMs: number | null, sinceStartMs: number): PlayState | 'again' {
  if (state === 'closed' || state === 'retrying') return state
  if (sinceFrameMs === null) return sinceStartMs > NO_FRAME_AFTER_MS ? 'again' : 'connecting'
  if (sinceFrameMs > NO_FRAME_AFTER_MS) return 'again'
  return sinceFrameMs > STALLED_AFTER_MS ? 'stalled' : 'live'
}

/** Plays one stream into one video element by WHEP (draft-ietf-wish-whep), for ever. */
export class WhepPlayer {
  private peer: RTCPeerConnection | null = null
  private session: string | null = null
  private token = ''
  private readonly backoff = new Backoff(0.5, 8)
  private retryTimer = 0
  private lookTimer = 0
  private frameHandle = 0
  private startedAt = 0
  private frameAt: number | null = null
  private attempt = 0
  private hiddenAt: number | null = null
  private report: PlayReport = {
    state: 'connecting', reason: null, frameAgeMs: null, firstFrameS: null, frames: 0, width: 0, height: 0, tries: 0,
  }

  constructor(
    private readonly video: HTMLVideoElement,
    private readonly grant: () => Promise<Grant>,
    private readonly tell: (report: PlayReport) => void,
  ) {}

  /** Start playing; returns at once. */
  open(): void {
    this.lookTimer = window.setInterval(() => this.look(), LOOK_EVERY_MS)
    void this.connect()
  }

  /** Begin anew at once if the media worker that died had this session. */
  lost(event: MediaRestart): void {
    if (isGone(event, this.session)) this.restart('media_restart')
  }

  /** Begin a new session at once. */
  restart(reason: string): void {
    if (this.report.state === 'closed') return
    this.backoff.reset()
    this.again(reason, 0.1)
  }

  /** Stop for good and release the session at the gateway. */
  close(): void {
    this.attempt += 1
    window.clearInterval(this.lookTimer)
    window.clearTimeout(this.retryTimer)
    this.drop()
    this.video.srcObject = null
    this.say({ state: 'closed' })
  }

  private async connect(): Promise<void> {
    const attempt = ++this.attempt
    this.startedAt = performance.now()
    this.frameAt = null
    this.say({ state: 'connecting', frameAgeMs: null, firstFrameS: null, tries: this.backoff.tries })
    try {
      const grant = await this.grant()
      if (attempt !== this.attempt) return
      const peer = this.makePeer(attempt)
      const offer = await localOffer(peer)
      const answer = await postOffer(grant.whep_url, grant.token, offer)
      if (attempt !== this.attempt) return endSession(answer.session, grant.token)
      this.session = answer.session
      this.token = grant.token
      await peer.setRemoteDescription({ type: 'answer', sdp: answer.sdp })
    } catch (error) {
      if (attempt === this.attempt) this.again(error instanceof SignalError ? error.code : codeOf(error))
    }
  }

  private makePeer(attempt: number): RTCPeerConnection {
    const peer = new RTCPeerConnection({ bundlePolicy: 'max-bundle' })
    this.peer = peer
    peer.addTransceiver('video', { direction: 'recvonly' })
    peer.addTransceiver('audio', { direction: 'recvonly' })
    const stream = new MediaStream()
    peer.ontrack = (event) => {
      stream.addTrack(event.track)
      if (this.video.srcObject !== stream) this.video.srcObject = stream
      this.video.play().catch(() => undefined)
    }
    peer.onconnectionstatechange = () => {
      if (attempt === this.attempt && peer.connectionState === 'failed') this.again('ice')
    }
    this.watchFrames(attempt)
    return peer
  }

  private watchFrames(attempt: number): void {
    const seen = (): void => {
      if (attempt !== this.attempt) return
      const now = performance.now()
      if (this.frameAt === null) {
        this.report.firstFrameS = (now - this.startedAt) / 1000
        this.backoff.reset()
      }
      this.frameAt = now
      this.report.frames += 1
      this.frameHandle = this.video.requestVideoFrameCallback(seen)
    }
    this.video.cancelVideoFrameCallback(this.frameHandle)
    this.frameHandle = this.video.requestVideoFrameCallback(seen)
  }

  /** Judge by frames. A hidden page is shown no frames, so nothing is concluded while it is hidden. */
  private look(): void {
    const now = performance.now()
    if (document.hidden) {
      this.hiddenAt = now
      return
    }
    if (this.hiddenAt !== null && now - this.hiddenAt < 2 * STALLED_AFTER_MS && this.report.state === 'live') return
    const age = this.frameAt === null ? null : now - this.frameAt
    const verdict = judge(this.report.state, age, now - this.startedAt)
    if (verdict === 'again') this.again('no_frame')
    else {
      const size = { width: this.video.videoWidth, height: this.video.videoHeight }
      const reason = verdict === 'live' ? null : this.report.reason
      this.say({ state: verdict, reason, frameAgeMs: age, ...size })
    }
  }

  private again(reason: string, wait = this.backoff.next()): void {
    this.attempt += 1
    this.drop()
    this.say({ state: 'retrying', reason, tries: this.backoff.tries })
    window.clearTimeout(this.retryTimer)
    this.retryTimer = window.setTimeout(() => void this.connect(), wait * 1000)
  }

  private drop(): void {
    this.video.cancelVideoFrameCallback(this.frameHandle)
    endSession(this.session, this.token, this.peer)
    this.peer = null
    this.session = null
  }

  private say(change: Partial<PlayReport>): void {
    this.report = { ...this.report, ...change }
    this.tell({ ...this.report })
  }
}

function codeOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string' ? error.code : 'network'
}

export { mediaUrl }
