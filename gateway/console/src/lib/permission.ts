/** Why a browser gives no microphone or camera, in words of which each has a next step in the catalogue. */
export type DeviceFault = 'insecure' | 'denied' | 'absent' | 'busy' | 'unknown'

export class DeviceError extends Error {
  constructor(readonly fault: DeviceFault) {
    super(fault)
  }
}

export function deviceFault(name: string): DeviceFault {
  if (name === 'NotAllowedError' || name === 'SecurityError') return 'denied'
  if (name === 'NotFoundError' || name === 'OverconstrainedError') return 'absent'
  return name === 'NotReadableError' || name === 'AbortError' ? 'busy' : 'unknown'
}

/** Open microphone and camera; without a camera, the microphone alone. Raises DeviceError. */
export async function openDevices(): Promise<MediaStream> {
  // On plain http with a host name the browser has no mediaDevices at all: watching works, speaking does not.
  const devices = navigator.mediaDevices as MediaDevices | undefined
  if (!devices) throw new DeviceError('insecure')
  const audio = { echoCancellation: true, noiseSuppression: true, autoGainControl: true }
  const video = { width: { ideal: 640 }, height: { ideal: 360 }, frameRate: { ideal: 15 } }
  try {
    return await devices.getUserMedia({ audio, video })
  } catch (error) {
    const fault = deviceFault(error instanceof DOMException ? error.name : '')
    if (fault !== 'absent') throw new DeviceError(fault)
  }
  try {
    return await devices.getUserMedia({ audio })
  } catch (error) {
    throw new DeviceError(deviceFault(error instanceof DOMException ? error.name : ''))
  }
}
