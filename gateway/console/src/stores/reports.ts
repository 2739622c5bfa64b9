import { defineStore } from 'pinia'
import { ref, shallowRef } from 'vue'
import { api } from '@/api/client'
import type { Report, ReportHead } from '@/api/types'
import { selection } from '@/lib/selection'
import { joined } from '@/lib/throttle'

/** Reports live on the gateway. `reminded` is the newest reminder, for the page to speak. */
export const useReports = defineStore('reports', () => {
  const items = shallowRef<ReportHead[]>([])
  const one = selection<Report>(api.report)
  const loaded = ref(false)
  const reminded = shallowRef<{ percent: number } | null>(null)

  async function load(): Promise<void> {
    items.value = (await api.reports()).items
    loaded.value = true
    await one.again()
  }

  const reload = joined(load, 300)

  function changed(data: unknown): void {
    const percent = (data as { percent?: number | null } | null)?.percent
    if (percent) reminded.value = { percent }
    reload()
  }

  function took(report: Report): void {
    one.took(report)
    reload()
  }

  return { items, current: one.current, loaded, reminded, load, changed, show: one.show, took }
})
