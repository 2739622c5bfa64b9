import { defineStore } from 'pinia'
import { ref, shallowRef } from 'vue'
import { api } from '@/api/client'
import type { ReceivedBulletin, ResultSheet, RollCallStanding, UnitResult } from '@/api/types'
import { joined } from '@/lib/throttle'

/** What follows a roll call: review and publication here, results and bulletins from above. */
export const usePress = defineStore('press', () => {
  const standing = shallowRef<RollCallStanding | null>(null)
  const sheet = shallowRef<ResultSheet | null>(null)
  const results = shallowRef<UnitResult[]>([])
  const bulletins = shallowRef<ReceivedBulletin[]>([])
  const received = ref(false)
  let chosen: string | null = null

  async function show(id: string): Promise<void> {
    chosen = id
    const [where, table] = await Promise.all([api.rollCallStanding(id), api.rollCallSheet(id)])
    if (chosen !== id) return
    standing.value = where
    sheet.value = table
  }

  async function loadReceived(): Promise<void> {
    const [mine, came] = await Promise.all([api.unitResults(), api.bulletins()])
    results.value = mine
    bulletins.value = came
    received.value = true
  }

  async function load(): Promise<void> {
    if (chosen) await show(chosen)
    if (received.value) await loadReceived()
  }

  const reload = joined(load, 300)

  function took(where: RollCallStanding): void {
    standing.value = where
    reload()
  }

  return { standing, sheet, results, bulletins, received, show, loadReceived, reload, took }
})
