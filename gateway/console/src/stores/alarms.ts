import { defineStore } from 'pinia'
import { computed, ref, shallowRef } from 'vue'
import { api } from '@/api/client'
import type { Alarm } from '@/api/types'
import { reminding, REMIND_MS, waits } from '@/lib/alarmBell'
import { alarmSound } from '@/lib/sounds'
import { joined } from '@/lib/throttle'

const SHOWN = 100

/** The newest active alarms for the overview and the counter, and a bell for pages that keep lists of their own. */
export const useAlarms = defineStore('alarms', () => {
  const recent = shallowRef<Alarm[]>([])
  const totals = ref({ active: 0, unacknowledged: 0 })
  const loaded = ref(false)
  /** Grows whenever something changed; lists with their own filter watch it. */
  const revision = ref(0)
  /** Grows whenever a chain of an alarm moved on. */
  const chains = ref(0)
  const known = new Set<string>()
  let bell: number | undefined

  const gravest = computed(() => {
    const open = recent.value.filter((alarm) => !alarm.acknowledged)
    return open.length ? Math.min(...open.map((alarm) => alarm.severity)) : null
  })

  async function load(): Promise<void> {
    const page = await api.alarms({ condition: 'active', limit: SHOWN })
    soundNew(page.items)
    recent.value = page.items
    remind()
    totals.value = page.totals
    loaded.value = true
    revision.value += 1
  }

  function soundNew(items: readonly Alarm[]): void {
    const fresh = items.filter((alarm) => !known.has(alarm.id) && waits(alarm))
    if (loaded.value && fresh.length) alarmSound(Math.min(...fresh.map((alarm) => alarm.severity)))
    items.forEach((alarm) => known.add(alarm.id))
  }

  /** Red and orange alarms sound again and again until they are acknowledged, hidden or over. */
  function remind(): void {
    if (reminding(recent.value) === null) {
      window.clearInterval(bell)
      bell = undefined
    } else bell ??= window.setInterval(() => alarmSound(reminding(recent.value) ?? 4), REMIND_MS)
  }

  const reload = joined(load, 500)

  function changed(_data: unknown): void {
    reload()
  }

  function chainMoved(): void {
    chains.value += 1
  }

  /** The chain calls this console: once per call. */
  function called(data: unknown): void {
    alarmSound((data as { severity: number }).severity)
  }

  async function acknowledge(id: string, note = ''): Promise<Alarm> {
    const answer = await api.acknowledge(id, note)
    reload()
    return answer
  }

  return { recent, totals, loaded, revision, chains, gravest, load, changed, chainMoved, called, acknowledge }
})
