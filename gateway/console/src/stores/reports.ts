import { defineStore } from 'pinia'
import { ref, shallowRef } from 'vue'
import { api } from '@/api/client'
import type { Report, ReportHead } from '@/api/types'
import { joined } from '@/lib/throttle'

/** Reports live on the gateway. `reminded` is the newest reminder, for the page to speak. */
export const useReports = defineStore('reports', () => {
  const items = shallowRef<ReportHead[]>([])
  const current = shallowRef<Report | null>(null)
  const loaded = ref(false)
  const reminded = shallowRef<{ percent: number } | null>(null)

  async function load(): Promise<void> {
    items.value = (await api.reports()).items
    loaded.value = true
    if (current.value) current.value = await api.report(current.value.id)
  }

  const reload = joined(load, 300)

  function changed(data: unknown): void {
    const percent = (data as { percent?: number | null } | null)?.percent
    if (percent) reminded.value = { percent }
    reload()
  }

  async function show(id: string): Promise<void> {
    current.value = await api.report(id)
  }

  function took(report: Report): void {
    current.value = report
    reload()
  }

  return { items, current, loaded, reminded, load, changed, show, took }
})
