import fc from 'fast-check'

// The same cases each time: what nobody has seen yet is looked for by scripts, not while somebody waits for their own change.
fc.configureGlobal({ seed: 20_261_121 })

export default fc
