import { defineStore } from 'pinia'
import { computed, ref, shallowRef } from 'vue'
import { api } from '@/api/client'
import type { RollCall } from '@/api/types'
import { running } from '@/lib/rollcall'
import { joined } from '@/lib/throttle'

/** Roll calls live on the gateway; any seat sees the running one and may take over. */
export const useRollCalls = defineStore('rollcalls', () => {
  const history = shallowRef<RollCall[]>([])
  const current = shallowRef<RollCall | null>(null)
  const loaded = ref(false)
  let chosen: string | null = null

  const live = computed(() => history.value.find((item) => running(item)) ?? null)

  async function load(): Promise<void> {
    history.value = await api.rollCalls()
    loaded.value = true
    const id = chosen ?? history.value[0]?.id
    if (id) current.value = await api.rollCall(id)
  }

  const reload = joined(load, 250)

  function changed(data: unknown): void {
    const id = (data as { id?: string } | null)?.id
    if (id && !history.value.some((item) => item.id === id)) chosen = null
    reload()
  }

  async function show(id: string): Promise<void> {
    chosen = id
    current.value = await api.rollCall(id)
  }

  async function begin(centres?: string[]): Promise<RollCall> {
    const call = await api.startRollCall(centres)
    chosen = call.id
    current.value = call
    reload()
    return call
  }

  return { history, current, live, loaded, load, changed, show, begin }
})
