import { defineStore } from 'pinia'
import { computed, ref, shallowRef } from 'vue'
import { api } from '@/api/client'
import type { Recording } from '@/api/types'

const RUNNING_MS = 2000
const IDLE_MS = 15000

/** Recordings as the gateway tells them; read again and again while somebody looks, often while one runs. */
export const useRecordings = defineStore('recordings', () => {
  const items = shallowRef<Recording[]>([])
  const loaded = ref(false)
  const now = ref(Date.now())
  let lookers = 0
  let timer = 0

  const running = computed(() => new Map(items.value.filter((one) => one.state === 'running').map((one) => [one.stream, one])))

  async function load(): Promise<void> {
    items.value = await api.recordings()
    loaded.value = true
  }

  async function tick(): Promise<void> {
    now.value = Date.now()
    await load().catch(() => undefined)
    if (lookers > 0) timer = window.setTimeout(tick, running.value.size ? RUNNING_MS : IDLE_MS)
  }

  /** Keep the list fresh until the returned function is called. */
  function look(): () => void {
    lookers += 1
    if (lookers === 1) void tick()
    return () => {
      lookers -= 1
      if (lookers === 0) window.clearTimeout(timer)
    }
  }

  async function start(stream: string): Promise<void> {
    await api.startRecording(stream)
    await load()
    window.clearTimeout(timer)
    if (lookers > 0) timer = window.setTimeout(tick, RUNNING_MS)
  }

  async function stop(id: string): Promise<void> {
    await api.stopRecording(id)
    await load()
  }

  /** Seconds since a recording began, by the clock of this machine. */
  const elapsed = (one: Recording): number => Math.max(0, Math.round((now.value - Date.parse(one.started_at)) / 1000))

  return { items, loaded, running, now, look, load, start, stop, elapsed }
})
