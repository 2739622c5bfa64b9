// Publishes RTP that arrives at a UDP port of ours: node werift_whip.mjs URL TOKEN. Prints the port, runs until stdin ends.
import { createSocket } from 'node:dgram'
import { MediaStreamTrack, RTCPeerConnection, useVP8 } from 'werift'

const [url, token] = process.argv.slice(2)
const authorization = `Bearer ${token}`
const peer = new RTCPeerConnection({
  iceServers: [],
  iceUseIpv6: false,
  iceInterfaceAddresses: { udp4: '127.0.0.1' },
  iceAdditionalHostAddresses: ['127.0.0.1'],
  codecs: { video: [useVP8()], audio: [] },
})
const track = new MediaStreamTrack({ kind: 'video' })
peer.addTransceiver(track, { direction: 'sendonly' })
await peer.setLocalDescription(await peer.createOffer())
const answer = await fetch(url, {
  method: 'POST',
  body: peer.localDescription.sdp,
  headers: { 'Content-Type': 'application/sdp', Authorization: authorization },
})
if (answer.status !== 201) throw new Error(`${answer.status} ${await answer.text()}`)
await peer.setRemoteDescription({ type: 'answer', sdp: await answer.text() })
const socket = createSocket('udp4')
socket.on('message', (packet) => track.writeRtp(packet))
socket.bind(0, '127.0.0.1', () => console.log(JSON.stringify({ port: socket.address().port })))
process.stdin.on('end', async () => {
  await fetch(new URL(answer.headers.get('location'), url), { method: 'DELETE', headers: { Authorization: authorization } })
  process.exit(0)
}).resume()
