import { useI18n } from 'vue-i18n'
import { ApiError } from '@/api/client'
import type { Centre, Tier } from '@/api/types'
import { useLive } from '@/stores/live'

/** Words for codes that come from the gateway. An unknown code is shown as it is, never hidden. */
export function useWords() {
  const { t, te, locale } = useI18n()

  function word(group: string, code: string | null | undefined): string {
    if (!code) return ''
    const key = `${group}.${code}`
    return te(key) ? t(key) : code
  }

  function problem(error: unknown): string {
    if (!(error instanceof ApiError)) return t('problem.unknown')
    const said = te(`problem.${error.code}`) ? t(`problem.${error.code}`) : ''
    return [error.detail || said || `${error.status} ${error.code}`].join(' ')
  }

  function centreName(centre: Pick<Centre, 'code' | 'name' | 'name_en'> | string | null | undefined): string {
    if (!centre) return '–'
    const found = typeof centre === 'string' ? useLive().byCode.get(centre) : centre
    if (!found) return typeof centre === 'string' ? centre : '–'
    return locale.value === 'en' ? found.name_en || found.name : found.name
  }

  const tier = (value: Tier | undefined): string => (value ? t(`tier.${value}`) : '')

  return { t, te, locale, word, problem, centreName, tier }
}
