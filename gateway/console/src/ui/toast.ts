import { ElMessage } from 'element-plus'
import 'element-plus/es/components/message/style/css'

/** Say something in passing; errors stay longer and can be closed. */
export function toast(text: string, kind: 'info' | 'success' | 'error' = 'info'): void {
  ElMessage({ message: text, type: kind, showClose: kind === 'error', duration: kind === 'error' ? 8000 : 3000, grouping: true, offset: 64, customClass: `ui-toast is-${kind}` })
}
