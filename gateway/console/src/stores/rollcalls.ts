import { defineStore } from 'pinia'
import { computed, ref, shallowRef } from 'vue'
import { api } from '@/api/client'
import type { RollCall } from '@/api/types'
import { running } from '@/lib/rollcall'
import { rollCallApi, type Inspection, type Plan } from '@/lib/rollcallApi'
import { joined } from '@/lib/throttle'

/** Roll calls live on the gateway; any seat sees the running one and may take over. */
export const useRollCalls = defineStore('rollcalls', () => {
  const history = shallowRef<RollCall[]>([])
  const current = shallowRef<RollCall | null>(null)
  const loaded = ref(false)
  const profiles = ref<string[]>([])
  /** What higher tiers call in this subtree just now. */
  const inspections = shallowRef<Inspection[]>([])
  /** Rises with every offer that came, or ended. */
  const offersRevision = ref(0)
  let chosen: string | null = null

  const live = computed(() => history.value.find((item) => running(item)) ?? null)

  async function load(): Promise<void> {
    void inspected()
    history.value = await api.rollCalls()
    const id = chosen ?? live.value?.id ?? history.value[0]?.id
    if (id) take(await api.rollCall(id))
    // Only now: without a call the page shows the form of a new one, and must not for a moment.
    loaded.value = true
  }

  async function inspected(): Promise<void> {
    inspections.value = await rollCallApi.inspections().catch(() => [])
  }

  const reload = joined(load, 250)

  function changed(data: unknown): void {
    const id = (data as { id?: string } | null)?.id
    if (id && !history.value.some((item) => item.id === id)) chosen = null
    reload()
  }

  /** Show an answer of the gateway at once; the list follows by its event. */
  function take(call: RollCall): void {
    current.value = call
    history.value = history.value.map((item) => (item.id === call.id ? call : item))
  }

  async function show(id: string): Promise<void> {
    chosen = id
    take(await api.rollCall(id))
  }

  async function begin(plan: Plan): Promise<RollCall> {
    const call = await rollCallApi.plan(plan)
    chosen = call.id
    current.value = call
    reload()
    return call
  }

  async function loadProfiles(): Promise<void> {
    profiles.value = (await rollCallApi.profiles()).items.map((one) => one.name)
  }

  return { history, current, live, loaded, profiles, inspections, offersRevision, load, inspected, changed, show, begin, take, loadProfiles }
})
