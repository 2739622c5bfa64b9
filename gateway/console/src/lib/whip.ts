import { Backoff } from './backoff'
import { endSession, localOffer, postOffer, SignalError } from './signal'
import { isGone, type MediaRestart } from './mediaRestart'

export type PublishState = 'connecting' | 'live' | 'retrying' | 'closed'

export interface PublishReport {
  state: PublishState
  reason: string | null
}

/** Sends one local stream by WHIP (RFC 9725), starting again with back-off until `close`. */
export class WhipPublisher {
  private peer: RTCPeerConnection | null = null
  private session: string | null = null
  private readonly backoff = new Backoff(0.5, 8)
  private timer = 0
  private attempt = 0

  constructor(
    private readonly target: { whip_url: string; token: string },
    private readonly stream: MediaStream,
    private readonly tell: (report: PublishReport) => void,
  ) {}

  open(): void {
    void this.connect()
  }

  /** Begin anew at once if the media worker that died had this session. */
  lost(event: MediaRestart): void {
    if (isGone(event, this.session)) this.restart()
  }

  restart(): void {
    this.backoff.reset()
    this.again('media_restart')
  }

  close(): void {
    this.attempt += 1
    window.clearTimeout(this.timer)
    this.drop()
    this.tell({ state: 'closed', reason: null })
  }

  private async connect(): Promise<void> {
    const attempt = ++this.attempt
    this.tell({ state: 'connecting', reason: null })
    try {
      const peer = new RTCPeerConnection({ bundlePolicy: 'max-bundle' })
      this.peer = peer
      for (const track of this.stream.getTracks()) {
        peer.addTransceiver(track, { direction: 'sendonly', streams: [this.stream] })
      }
      peer.onconnectionstatechange = () => this.connection(peer, attempt)
      const answer = await postOffer(this.target.whip_url, this.target.token, await localOffer(peer))
      if (attempt !== this.attempt) return endSession(answer.session, this.target.token)
      this.session = answer.session
      await peer.setRemoteDescription({ type: 'answer', sdp: answer.sdp })
    } catch (error) {
      if (attempt === this.attempt) this.again(error instanceof SignalError ? error.code : 'network')
    }
  }

  private connection(peer: RTCPeerConnection, attempt: number): void {
    if (attempt !== this.attempt) return
    if (peer.connectionState === 'connected') {
      this.backoff.reset()
      this.tell({ state: 'live', reason: null })
    } else if (peer.connectionState === 'failed') this.again('ice')
  }

  private again(reason: string): void {
    this.attempt += 1
    this.drop()
    this.tell({ state: 'retrying', reason })
    window.clearTimeout(this.timer)
    this.timer = window.setTimeout(() => void this.connect(), this.backoff.next() * 1000)
  }

  private drop(): void {
    endSession(this.session, this.target.token, this.peer)
    this.peer = null
    this.session = null
  }
}
