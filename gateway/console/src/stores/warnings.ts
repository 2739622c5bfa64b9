import { defineStore } from 'pinia'
import { ref, shallowRef } from 'vue'
import { api } from '@/api/client'
import type { Warning, WarningHead, WarningIssuers } from '@/api/types'
import { selection } from '@/lib/selection'
import { joined } from '@/lib/throttle'

/** Public warnings live on the gateway; this is what the page shows of them. */
export const useWarnings = defineStore('warnings', () => {
  const items = shallowRef<WarningHead[]>([])
  const one = selection<Warning>(api.warning)
  const issuers = shallowRef<WarningIssuers | null>(null)
  const loaded = ref(false)

  async function load(): Promise<void> {
    const [list, who] = await Promise.all([api.warnings(), issuers.value ?? api.warningIssuers()])
    items.value = list.items
    issuers.value = who
    loaded.value = true
    await one.again()
  }

  const reload = joined(load, 300)

  function changed(): void {
    if (loaded.value) reload()
  }

  function took(warning: Warning): void {
    one.took(warning)
    reload()
  }

  return { items, current: one.current, issuers, loaded, load, changed, show: one.show, took }
})
