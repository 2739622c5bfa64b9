/** Two calls that our libraries make and that Chrome 90 lacks. */

interface Holder {
  hasOwn?: (target: object, key: PropertyKey) => boolean
}
const holder = Object as unknown as Holder
holder.hasOwn ??= (target, key) => Object.prototype.hasOwnProperty.call(target, key)

if (!('findLast' in Array.prototype)) {
  Object.defineProperty(Array.prototype, 'findLast', {
    configurable: true,
    writable: true,
    value<T>(this: T[], test: (item: T, index: number, all: T[]) => boolean): T | undefined {
      for (let at = this.length - 1; at >= 0; at -= 1) if (test(this[at] as T, at, this)) return this[at]
      return undefined
    },
  })
}

export {}
