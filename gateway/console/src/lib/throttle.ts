/** Run `act` soon after the first call, then at most once per `everyMs`; calls in between are joined into one. */
export function joined(act: () => Promise<unknown>, everyMs: number): () => void {
  let timer = 0
  let running = false
  let again = false
  const run = async (): Promise<void> => {
    timer = 0
    running = true
    try {
      await act()
    } finally {
      running = false
      if (again) {
        again = false
        plan()
      }
    }
  }
  const plan = (): void => {
    if (running) again = true
    else if (!timer) timer = window.setTimeout(() => void run(), everyMs)
  }
  return plan
}
