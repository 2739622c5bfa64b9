/** A media worker of the gateway died: the sessions that it had are gone, those of other workers go on. */

export interface MediaRestart {
  sessions: string[]
  at: number
}

/** Tell whether a session, by its address, is gone. One that is just being made may be: null counts as gone. */
export function isGone(event: MediaRestart, session: string | null): boolean {
  return session === null || event.sessions.some((id) => session.endsWith(`/${id}`))
}
