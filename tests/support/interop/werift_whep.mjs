// Views one stream with werift: node werift_whep.mjs URL TOKEN PACKETS. Prints what was decrypted and ends the session.
import { RTCPeerConnection, useH264, useVP8 } from 'werift'

const [url, token, wanted] = process.argv.slice(2)
const authorization = `Bearer ${token}`
const peer = new RTCPeerConnection({
  iceServers: [],
  iceUseIpv6: false,
  iceInterfaceAddresses: { udp4: '127.0.0.1' },
  iceAdditionalHostAddresses: ['127.0.0.1'],
  codecs: { video: [useH264(), useVP8()], audio: [] },
})
const seen = { packets: 0, bytes: 0, types: [], backwards: 0 }
let last
const done = new Promise((resolve) => {
  peer.onTrack.subscribe((track) => track.onReceiveRtp.subscribe((packet) => {
    seen.packets += 1
    seen.bytes += packet.payload.length
    if (!seen.types.includes(packet.header.payloadType)) seen.types.push(packet.header.payloadType)
    if (last !== undefined && ((packet.header.sequenceNumber - last) & 0xffff) > 0x8000) seen.backwards += 1
    last = packet.header.sequenceNumber
    if (seen.packets >= Number(wanted)) resolve()
  }))
})
peer.addTransceiver('video', { direction: 'recvonly' })
await peer.setLocalDescription(await peer.createOffer())
const answer = await fetch(url, {
  method: 'POST',
  body: peer.localDescription.sdp,
  headers: { 'Content-Type': 'application/sdp', Authorization: authorization },
})
if (answer.status !== 201) throw new Error(`${answer.status} ${await answer.text()}`)
await peer.setRemoteDescription({ type: 'answer', sdp: await answer.text() })
await done
await peer.close()
await fetch(new URL(answer.headers.get('location'), url), { method: 'DELETE', headers: { Authorization: authorization } })
console.log(JSON.stringify(seen))
process.exit(0)
