import { Backoff } from './backoff'

export const EVENT_NAMES = [
  'hello', 'link.changed', 'alarm.changed', 'camera.changed', 'catalogue.changed', 'rollcall.changed', 'inspection.changed', 'offer.changed', 'call.changed', 'report.changed', 'warning.changed', 'order.changed',
  'escalation.changed', 'escalation.call',
  'media.restart', 'wall.slot', 'floor.changed', 'resync', 'ping',
] as const
export type EventName = (typeof EVENT_NAMES)[number]

export type Wire = { state: 'connecting' } | { state: 'open' } | { state: 'waiting'; tries: number; retryAt: number }

/** The gateway pings every 10 s; silence for this long means that the wire is dead though no error was seen. */
const SILENCE_MS = 25000

/**
 * The gateway's event stream, for ever. The browser's own reconnect is not used: the operator is told the attempt and
 * the time of the next, and after each return everything is loaded again (`onOpen`), since events were missed.
 */
export class EventStream {
  private source: EventSource | null = null
  private readonly backoff = new Backoff(1, 15)
  private retryTimer = 0
  private silenceTimer = 0
  private closed = false

  constructor(
    private readonly url: string,
    private readonly on: {
      wire: (wire: Wire) => void
      open: () => void
      event: (name: EventName, data: unknown) => void
      lost: () => void
    },
  ) {}

  open(): void {
    if (this.closed) return
    window.clearTimeout(this.retryTimer)
    this.source?.close()
    this.on.wire({ state: 'connecting' })
    const source = new EventSource(this.url)
    this.source = source
    source.onopen = () => {
      this.backoff.reset()
      this.heard()
      this.on.wire({ state: 'open' })
      this.on.open()
    }
    source.onerror = () => this.again()
    for (const name of EVENT_NAMES) {
      source.addEventListener(name, (event) => {
        this.heard()
        this.on.event(name, parse((event as MessageEvent<string>).data))
      })
    }
  }

  /** Try at once: the browser said that it is online again, or the operator pressed the button. */
  retryNow(): void {
    this.backoff.reset()
    this.open()
  }

  close(): void {
    this.closed = true
    window.clearTimeout(this.retryTimer)
    window.clearTimeout(this.silenceTimer)
    this.source?.close()
  }

  private heard(): void {
    window.clearTimeout(this.silenceTimer)
    this.silenceTimer = window.setTimeout(() => this.again(), SILENCE_MS)
  }

  private again(): void {
    if (this.closed) return
    this.source?.close()
    window.clearTimeout(this.silenceTimer)
    window.clearTimeout(this.retryTimer)
    const wait = this.backoff.next()
    this.on.wire({ state: 'waiting', tries: this.backoff.tries, retryAt: Date.now() + wait * 1000 })
    this.on.lost()
    this.retryTimer = window.setTimeout(() => this.open(), wait * 1000)
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return null
  }
}
