import type { Fault, HostileReply, Wire } from './hostile-registry.ts'

// What a hostile registry does with an answer. Each is one fault, to be laid on any phase.

type Where = 'before headers' | 'in headers' | 'at first byte' | 'in body' | 'at last byte'

/** The line ends there: `fin` in an orderly way, `rst` by a reset. */
export function cut(where: Where, how: 'fin' | 'rst' = 'fin'): Fault {
  return async (reply, wire) => {
    const head = wire.headOf(reply)
    const body = wire.bodyOf(reply)
    const all = Buffer.concat([head, body])
    const upTo = {
      'before headers': 0,
      'in headers': Math.floor(head.length / 2),
      'at first byte': head.length,
      'in body': head.length + Math.floor(body.length / 2),
      'at last byte': all.length - 1,
    }[where]
    if (upTo > 0) await wire.write(all.subarray(0, upTo))
    wire[how]()
  }
}

/** Never answers. */
export const hang: Fault = () => undefined

/** Takes all that is sent, and says nothing for as long as there is somebody. */
export const nobodyHome: Fault = async (_reply, wire) => {
  while (wire.isOpen()) await wire.pause(1_000)
}

/** Headers, half of the body, and then nothing more. */
export const stall: Fault = async (reply, wire) => {
  const body = wire.bodyOf(reply)
  await wire.write(Buffer.concat([wire.headOf(reply), body.subarray(0, Math.floor(body.length / 2))]))
}

/** One byte at a time, with a pause after each; `head` sends the headers so too. */
export function drip(everyMs: number, what: 'head' | 'body' = 'body'): Fault {
  return async (reply, wire) => {
    if (what === 'body') await wire.write(wire.headOf(reply))
    const bytes = what === 'head' ? wire.headOf(reply) : wire.bodyOf(reply)
    for (let at = 0; at < bytes.length && wire.isOpen(); at++) {
      await wire.write(bytes.subarray(at, at + 1))
      await wire.pause(everyMs)
    }
    if (what === 'head') await wire.write(wire.bodyOf(reply))
  }
}

/** As `drip`, but it never comes to an end. */
export function endlessDrip(everyMs: number, status?: number): Fault {
  return async (reply, wire) => {
    const headers = { ...reply.headers, 'content-length': '', 'transfer-encoding': 'chunked' }
    await wire.write(wire.headOf({ ...reply, status: status ?? reply.status, headers }))
    while (wire.isOpen()) {
      await wire.write('1\r\nx\r\n')
      await wire.pause(everyMs)
    }
  }
}

/** Chunks for as long as somebody takes them. */
export const endless: Fault = async (reply, wire) => {
  const headers = { ...reply.headers, 'content-length': '', 'transfer-encoding': 'chunked' }
  await wire.write(wire.headOf({ ...reply, headers }))
  const chunk = Buffer.concat([Buffer.from('10000\r\n'), Buffer.alloc(65_536, 'x'), Buffer.from('\r\n')])
  while (wire.isOpen()) await wire.write(chunk)
}

/** Interim answers without an end. */
export const endlessInterim: Fault = async (_reply, wire) => {
  while (wire.isOpen()) {
    await wire.write('HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n')
    await wire.pause(1_000)
  }
}

/** These bytes, and the end of the connection. */
export function raw(text: string): Fault {
  return async (_reply, wire) => {
    await wire.write(text)
    wire.fin()
  }
}

export function status(code: number, headers: Record<string, string> = {}, body = ''): Fault {
  return () => ({ status: code, headers, body: Buffer.from(body) })
}

export function body(bytes: string | Buffer, headers: Record<string, string> = {}): Fault {
  return (reply) => ({ ...reply, headers: { ...reply.headers, ...headers }, body: Buffer.from(bytes) })
}

/** An empty value takes the header away. */
export function headers(changed: Record<string, string | string[]>): Fault {
  return (reply) => ({ ...reply, headers: { ...reply.headers, ...changed } })
}

/** To a path of the registry itself, an absolute URL, or what is made of the wire. */
export function redirect(to: string | ((wire: Wire) => string), code = 307): Fault {
  return (_reply, wire) => {
    const location = typeof to === 'string' ? to : to(wire)
    return { status: code, headers: { location }, body: Buffer.alloc(0) }
  }
}

/** Claims so many bytes, and sends what there is. */
export function claimLength(bytes: (honest: number) => number): Fault {
  return (reply) => ({
    ...reply,
    headers: { ...reply.headers, 'content-length': String(bytes(reply.body.length)) },
  })
}

export function also(...faults: ((reply: HostileReply, wire: Wire) => HostileReply)[]): Fault {
  return (reply, wire) => faults.reduce((changed, fault) => fault(changed, wire), reply)
}
