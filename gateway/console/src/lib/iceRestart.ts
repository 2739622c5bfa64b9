/** ICE restart over HTTP (RFC 9725 section 4.3.2): what of our offer goes into the PATCH, and what comes back of it. */

/** Return the trickle-ice-sdpfrag of an offer: its credentials, the first section's name, and the candidates. */
export function fragmentOf(sdp: string): string {
  const lines = sdp.split(/\r?\n/)
  const first = (prefix: string): string[] => {
    const found = lines.find((line) => line.startsWith(prefix))
    return found ? [found] : []
  }
  const candidates = lines.filter((line) => line.startsWith('a=candidate:'))
  const media = first('m=').map((line) => `${line.split(' ')[0] ?? ''} 9 UDP/TLS/RTP/SAVPF 0`)
  return [...first('a=ice-ufrag:'), ...first('a=ice-pwd:'), ...media, ...first('a=mid:'), ...candidates].join('\r\n') + '\r\n'
}

/** Return the standing answer with the credentials and candidates of the fragment in place of the former ones. */
export function restartedAnswer(standing: string, fragment: string): string {
  const told = fragment.split(/\r?\n/)
  const value = (prefix: string): string => told.find((line) => line.startsWith(prefix)) ?? ''
  const ufrag = value('a=ice-ufrag:')
  const password = value('a=ice-pwd:')
  if (!ufrag || !password) throw new Error('the gateway named no credentials')
  const candidates = told.filter((line) => line.startsWith('a=candidate:'))
  let inMedia = false
  let placed = false
  const lines: string[] = []
  for (const line of standing.split(/\r?\n/)) {
    if (line.startsWith('a=candidate:') || line === 'a=end-of-candidates') continue
    if (line.startsWith('m=')) inMedia = true
    if (line.startsWith('a=ice-ufrag:')) lines.push(ufrag)
    else if (line.startsWith('a=ice-pwd:')) {
      lines.push(password)
      if (inMedia && !placed) lines.push(...candidates, 'a=end-of-candidates')
      placed = placed || inMedia
    } else lines.push(line)
  }
  return lines.join('\r\n')
}
