import { defineStore } from 'pinia'
import { ref, shallowRef } from 'vue'
import { api } from '@/api/client'
import type { Warning, WarningHead, WarningIssuers } from '@/api/types'
import { joined } from '@/lib/throttle'

/** Public warnings live on the gateway; this is what the page shows of them. */
export const useWarnings = defineStore('warnings', () => {
  const items = shallowRef<WarningHead[]>([])
  const current = shallowRef<Warning | null>(null)
  const issuers = shallowRef<WarningIssuers | null>(null)
  const loaded = ref(false)

  async function load(): Promise<void> {
    const [list, who] = await Promise.all([api.warnings(), issuers.value ?? api.warningIssuers()])
    items.value = list.items
    issuers.value = who
    loaded.value = true
    if (current.value) current.value = await api.warning(current.value.id)
  }

  const reload = joined(load, 300)

  function changed(): void {
    if (loaded.value) reload()
  }

  async function show(id: string): Promise<void> {
    current.value = await api.warning(id)
  }

  function took(warning: Warning): void {
    current.value = warning
    reload()
  }

  return { items, current, issuers, loaded, load, changed, show, took }
})
