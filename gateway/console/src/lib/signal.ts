/** The HTTP half of WHIP (RFC 9725) and WHEP: one offer, one answer, one session to end. */

export class SignalError extends Error {
  constructor(
    readonly code: string,
    readonly status: number,
  ) {
    super(code)
  }
}

const GATHER_MS = 1500

/** Return the offer with its candidates inside, so that no trickle round trip is needed. */
export async function localOffer(peer: RTCPeerConnection): Promise<string> {
  await peer.setLocalDescription(await peer.createOffer())
  await gathered(peer)
  return peer.localDescription?.sdp ?? ''
}

function gathered(peer: RTCPeerConnection): Promise<void> {
  if (peer.iceGatheringState === 'complete') return Promise.resolve()
  return new Promise((resolve) => {
    const timer = window.setTimeout(done, GATHER_MS)
    function done(): void {
      window.clearTimeout(timer)
      peer.removeEventListener('icegatheringstatechange', look)
      resolve()
    }
    function look(): void {
      if (peer.iceGatheringState === 'complete') done()
    }
    peer.addEventListener('icegatheringstatechange', look)
  })
}

/** Media is served where the page is served: a differing loopback name would only trip the browser's origin rules. */
export function mediaUrl(url: string, base = window.location.href): string {
  const here = new URL(base)
  const there = new URL(url, here)
  const loopback = (host: string): boolean => host === 'localhost' || host.startsWith('127.') || host === '[::1]'
  const same = there.port === here.port && loopback(there.hostname) && loopback(here.hostname)
  return same ? `${here.origin}${there.pathname}${there.search}` : there.href
}

export async function postOffer(url: string, token: string, sdp: string): Promise<{ sdp: string; session: string | null }> {
  const target = mediaUrl(url)
  let answer: Response
  try {
    answer = await fetch(target, {
      method: 'POST', body: sdp, credentials: 'omit',
      headers: { 'content-type': 'application/sdp', authorization: `Bearer ${token}` },
    })
  } catch {
    throw new SignalError('network', 0)
  }
  if (answer.status !== 201) {
    const body = (await answer.json().catch(() => ({}))) as { code?: string }
    throw new SignalError(body.code ?? `http_${answer.status}`, answer.status)
  }
  const location = answer.headers.get('location')
  return { sdp: await answer.text(), session: location ? mediaUrl(location, target) : null }
}

/**
 * End a session at the gateway, then close its peer. In this order: a peer that is closed first takes the session with
 * it, and the request would ask for something that is gone. It also works while the page is being left.
 */
export function endSession(session: string | null, token: string, peer: RTCPeerConnection | null = null): void {
  const gone = !session || peer?.connectionState === 'failed' || peer?.connectionState === 'closed'
  if (gone) {
    peer?.close()
    return
  }
  const headers = { authorization: `Bearer ${token}` }
  fetch(session, { method: 'DELETE', keepalive: true, credentials: 'omit', headers })
    .catch(() => undefined)
    .finally(() => peer?.close())
}
