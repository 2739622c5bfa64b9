import { defineStore } from 'pinia'
import { ref, shallowRef } from 'vue'
import { api } from '@/api/client'
import type { Order, OrderHead, OrderSetup } from '@/api/types'
import { selection } from '@/lib/selection'
import { joined } from '@/lib/throttle'

/** Orders live on the gateway, the overdue first; this is what the page shows of them. */
export const useOrders = defineStore('orders', () => {
  const items = shallowRef<OrderHead[]>([])
  const one = selection<Order>(api.order)
  const setup = shallowRef<OrderSetup | null>(null)
  const loaded = ref(false)

  async function load(): Promise<void> {
    const [list, made] = await Promise.all([api.orders(), setup.value ?? api.orderSetup()])
    items.value = list.items
    setup.value = made
    loaded.value = true
    await one.again()
  }

  const reload = joined(load, 300)

  function changed(): void {
    if (loaded.value) reload()
  }

  function took(order: Order): void {
    one.took(order)
    reload()
  }

  return { items, current: one.current, setup, loaded, load, changed, show: one.show, took }
})
