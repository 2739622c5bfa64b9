/** Ring and alarm sounds, synthesised so that no file and no licence is needed. */

let context: AudioContext | null = null

function audio(): AudioContext | null {
  if (!context && 'AudioContext' in window) context = new AudioContext()
  return context
}

/** Tell whether the browser lets us sound; until a first click or key it may not. */
export function soundReady(): boolean {
  return audio()?.state === 'running'
}

export async function unlockSound(): Promise<boolean> {
  await audio()?.resume().catch(() => undefined)
  return soundReady()
}

function beep(frequency: number, at: number, length: number, loudness: number): void {
  const ctx = audio()
  if (!ctx || ctx.state !== 'running') return
  const tone = ctx.createOscillator()
  const gain = ctx.createGain()
  tone.frequency.value = frequency
  gain.gain.setValueAtTime(0, ctx.currentTime + at)
  gain.gain.linearRampToValueAtTime(loudness, ctx.currentTime + at + 0.02)
  gain.gain.linearRampToValueAtTime(0, ctx.currentTime + at + length)
  tone.connect(gain).connect(ctx.destination)
  tone.start(ctx.currentTime + at)
  tone.stop(ctx.currentTime + at + length + 0.05)
}

/** One pattern per severity, the gravest with the most strokes. */
export function alarmSound(severity: number): void {
  const strokes = Math.max(1, 5 - severity)
  for (let n = 0; n < strokes; n += 1) beep(severity <= 2 ? 880 : 587, n * 0.22, 0.16, 0.12)
}

/** Ring until the returned function is called. */
export function ring(): () => void {
  const once = (): void => {
    beep(440, 0, 0.4, 0.1)
    beep(480, 0, 0.4, 0.1)
    beep(440, 0.6, 0.4, 0.1)
    beep(480, 0.6, 0.4, 0.1)
  }
  once()
  const timer = window.setInterval(once, 3000)
  return () => window.clearInterval(timer)
}
