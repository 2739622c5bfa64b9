import { defineStore } from 'pinia'
import { computed, ref, shallowRef } from 'vue'
import { api } from '@/api/client'
import type { Call } from '@/api/types'
import { DeviceError, openDevices, type DeviceFault } from '@/lib/permission'
import { joined } from '@/lib/throttle'
import type { MediaRestart } from '@/lib/mediaRestart'
import { WhipPublisher, type PublishReport } from '@/lib/whip'

/** Dispatch calls: the one this seat is in, those that ring here, and the past ones. */
export const useCalls = defineStore('calls', () => {
  const history = shallowRef<Call[]>([])
  const current = shallowRef<Call | null>(null)
  const local = shallowRef<MediaStream | null>(null)
  const fault = ref<DeviceFault | null>(null)
  const sending = ref<PublishReport | null>(null)
  const muted = ref(false)
  const dark = ref(false)
  const busy = ref(false)
  let publisher: WhipPublisher | null = null

  const incoming = computed(() => history.value.find((call) => call.direction === 'in' && call.state === 'ringing') ?? null)
  const active = computed(() => (current.value && current.value.state !== 'ended' ? current.value : null))

  async function load(): Promise<void> {
    history.value = await api.calls()
    if (current.value) take(await api.call(current.value.id))
  }

  const reload = joined(load, 150)

  function changed(data: unknown): void {
    const call = data as Partial<Call> | null
    if (call?.id && call.id === current.value?.id && call.state === 'ended') take({ ...current.value, ...call } as Call)
    reload()
  }

  function take(call: Call): void {
    // The grants of a call are made for its own seat; a later general answer may lack them.
    const before = current.value?.id === call.id ? current.value : null
    current.value = { ...call, publish: call.publish ?? before?.publish ?? null, watch: call.watch ?? before?.watch ?? null }
    if (call.state === 'ended') release()
    else send()
  }

  async function devices(): Promise<void> {
    fault.value = null
    try {
      local.value ??= await openDevices()
    } catch (error) {
      // Without microphone the call still goes on: seeing and hearing the county is worth more than nothing.
      fault.value = error instanceof DeviceError ? error.fault : 'unknown'
    }
    muted.value = false
    dark.value = false
  }

  function send(): void {
    const call = current.value
    if (publisher || !local.value || !call?.publish) return
    publisher = new WhipPublisher(call.publish, local.value, (report) => (sending.value = report))
    publisher.open()
  }

  async function run(ask: () => Promise<Call>): Promise<void> {
    busy.value = true
    try {
      await devices()
      take(await ask())
      reload()
    } catch (error) {
      release()
      throw error
    } finally {
      busy.value = false
    }
  }

  const dial = (centre: string): Promise<void> => run(() => api.startCall(centre))
  const answer = (id: string): Promise<void> => run(() => api.answerCall(id))

  async function hangUp(id = current.value?.id): Promise<void> {
    if (!id) return
    const call = await api.hangUp(id)
    if (id === current.value?.id) take(call)
    reload()
  }

  function release(): void {
    publisher?.close()
    publisher = null
    sending.value = null
    local.value?.getTracks().forEach((track) => track.stop())
    local.value = null
  }

  function mute(on: boolean): void {
    muted.value = on
    local.value?.getAudioTracks().forEach((track) => (track.enabled = !on))
  }

  function darken(on: boolean): void {
    dark.value = on
    local.value?.getVideoTracks().forEach((track) => (track.enabled = !on))
  }

  /** A media worker died: send again at once, if to that one. */
  function mediaRestarted(event: MediaRestart): void {
    publisher?.lost(event)
  }

  return {
    history, current, local, fault, sending, muted, dark, busy, incoming, active, load, changed, dial, answer, hangUp, mute,
    darken, mediaRestarted, devices,
  }
})
