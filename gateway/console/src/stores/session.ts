import { defineStore } from 'pinia'
import { computed, ref } from 'vue'
import { api, ApiError } from '@/api/client'
import type { Role, User } from '@/api/types'

/** Who sits at this screen. `checked` turns true once the gateway was asked. */
export const useSession = defineStore('session', () => {
  const user = ref<User | null>(null)
  const checked = ref(false)

  const mustChange = computed(() => user.value?.must_change_password === true)

  function may(...roles: Role[]): boolean {
    return roles.some((role) => user.value?.roles.includes(role))
  }

  async function restore(): Promise<void> {
    try {
      user.value = (await api.session()).user
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 401) throw error
      user.value = null
    } finally {
      checked.value = true
    }
  }

  async function signIn(name: string, password: string): Promise<void> {
    user.value = (await api.signIn(name, password)).user
    checked.value = true
  }

  async function signOut(): Promise<void> {
    await api.signOut().catch(() => undefined)
    user.value = null
  }

  function forget(): void {
    user.value = null
  }

  async function changePassword(old: string, fresh: string): Promise<void> {
    await api.changePassword(old, fresh)
    if (user.value) user.value = { ...user.value, must_change_password: false }
  }

  return { user, checked, mustChange, may, restore, signIn, signOut, forget, changePassword }
})
