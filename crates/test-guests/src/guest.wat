;; A source of the test's own: what `poll` does is chosen by the first letter of the state.
(module
  (memory (export "memory") 40)
  (data (i32.const 1024) "guest0.0.0{}{\"n\":1}not jsonlogs.example.comnothing\1b[2Jworks")

  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 32768))

  ;; record { name, version, config-schema: string, streams: list }
  (func (export "pipeline:source/source@0.1.0#describe") (result i32)
    (i32.store (i32.const 256) (i32.const 1024)) (i32.store (i32.const 260) (i32.const 5))
    (i32.store (i32.const 264) (i32.const 1029)) (i32.store (i32.const 268) (i32.const 5))
    (i32.store (i32.const 272) (i32.const 1034)) (i32.store (i32.const 276) (i32.const 2))
    (i32.store (i32.const 280) (i32.const 0)) (i32.store (i32.const 284) (i32.const 0))
    (i32.const 256))

  ;; Grants logs.example.com, unless the document is longer than "{}": then it lists one problem.
  (func (export "pipeline:source/source@0.1.0#configure") (param $at i32) (param $length i32) (result i32)
    (memory.fill (i32.const 256) (i32.const 0) (i32.const 96))
    (if (i32.gt_u (local.get $length) (i32.const 2))
      (then
        (i32.store8 (i32.const 256) (i32.const 1))
        (i32.store (i32.const 260) (i32.const 288)) (i32.store (i32.const 264) (i32.const 1))
        ;; problem at 288: kind config, message at 28
        (i32.store (i32.const 316) (i32.const 1067)) (i32.store (i32.const 320) (i32.const 16)))
      (else
        (i32.store (i32.const 260) (i32.const 288)) (i32.store (i32.const 264) (i32.const 1))
        (i32.store (i32.const 288) (i32.const 1051)) (i32.store (i32.const 292) (i32.const 16))))
    (i32.const 256))

  (func (export "pipeline:source/source@0.1.0#check") (result i32)
    (i64.store (i32.const 256) (i64.const 0))
    (i32.const 256))

  ;; Always "guest".
  (func (export "pipeline:source/source@0.1.0#suspend") (result i32)
    (i32.store8 (i32.const 256) (i32.const 1))
    (i32.store (i32.const 260) (i32.const 1024)) (i32.store (i32.const 264) (i32.const 5))
    (i32.const 256))

  ;; Its polls ask for as many milliseconds more as the session has bytes.
  (func (export "pipeline:source/source@0.1.0#resume") (param $at i32) (param $length i32)
    (i32.store (i32.const 1000) (local.get $length)))

  ;; Refuses what is no range.
  (func (export "pipeline:source/source@0.1.0#confine") (param $from i64) (param $until i64) (result i32)
    (memory.fill (i32.const 256) (i32.const 0) (i32.const 96))
    (if (i64.ge_s (local.get $from) (local.get $until))
      (then
        (i32.store8 (i32.const 256) (i32.const 1))
        ;; problem at 260: kind config, message at 28
        (i32.store (i32.const 288) (i32.const 1067)) (i32.store (i32.const 292) (i32.const 16))))
    (i32.const 256))

  ;; A state that begins with c.
  (func (export "pipeline:source/source@0.1.0#is-complete") (param $at i32) (param $length i32) (result i32)
    (i32.eq (i32.load8_u (local.get $at)) (i32.const 99)))

  (func (export "pipeline:source/source@0.1.0#poll")
    (param $some i32) (param $at i32) (param $length i32) (result i32)
    (local $letter i32) (local $n i32)
    (if (local.get $some) (then (local.set $letter (i32.load8_u (local.get $at)))))
    ;; ok(batch) at 512, its payload at 520: one event, state "{}", again in a minute
    (memory.fill (i32.const 512) (i32.const 0) (i32.const 96))
    (i32.store (i32.const 2048) (i32.const 1036)) (i32.store (i32.const 2052) (i32.const 7))
    (i32.store (i32.const 520) (i32.const 2048)) (i32.store (i32.const 524) (i32.const 1))
    (i32.store (i32.const 528) (i32.const 1034)) (i32.store (i32.const 532) (i32.const 2))
    (i32.store (i32.const 536) (i32.add (i32.const 60000) (i32.load (i32.const 1000))))

    ;; t: trap
    (if (i32.eq (local.get $letter) (i32.const 116)) (then (unreachable)))
    ;; l: loop for ever
    (if (i32.eq (local.get $letter) (i32.const 108)) (then (loop $l (br $l))))
    ;; m: ask for 125 MiB
    (if (i32.eq (local.get $letter) (i32.const 109)) (then (drop (memory.grow (i32.const 2000)))))
    ;; j: an event that is no JSON
    (if (i32.eq (local.get $letter) (i32.const 106)) (then
      (i32.store (i32.const 2048) (i32.const 1043)) (i32.store (i32.const 2052) (i32.const 8))))
    ;; s: a state of 1 MiB and a byte
    (if (i32.eq (local.get $letter) (i32.const 115)) (then
      (i32.store (i32.const 528) (i32.const 65536)) (i32.store (i32.const 532) (i32.const 1048577))))
    ;; n: 200,000 events
    (if (i32.eq (local.get $letter) (i32.const 110)) (then
      (i32.store (i32.const 520) (i32.const 65536)) (i32.store (i32.const 524) (i32.const 200000))))
    ;; f: 100 events of 2 MiB each
    (if (i32.eq (local.get $letter) (i32.const 102)) (then
      (i32.store (i32.const 520) (i32.const 4096)) (i32.store (i32.const 524) (i32.const 100))
      (loop $fill
        (i32.store (i32.add (i32.const 4096) (i32.shl (local.get $n) (i32.const 3))) (i32.const 65536))
        (i32.store (i32.add (i32.const 4100) (i32.shl (local.get $n) (i32.const 3))) (i32.const 2097152))
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br_if $fill (i32.lt_u (local.get $n) (i32.const 100))))))
    ;; e: err(failure): transient, with escape sequences in its message, again in 250 ms
    (if (i32.eq (local.get $letter) (i32.const 101)) (then
      (memory.fill (i32.const 512) (i32.const 0) (i32.const 96))
      (i32.store8 (i32.const 512) (i32.const 1))
      (i32.store8 (i32.const 520) (i32.const 4))
      (i32.store (i32.const 548) (i32.const 1067)) (i32.store (i32.const 552) (i32.const 16))
      (i32.store8 (i32.const 568) (i32.const 1)) (i32.store (i32.const 572) (i32.const 250))))
    ;; x: err(failure): this is not my state
    (if (i32.eq (local.get $letter) (i32.const 120)) (then
      (memory.fill (i32.const 512) (i32.const 0) (i32.const 96))
      (i32.store8 (i32.const 512) (i32.const 1))
      (i32.store8 (i32.const 520) (i32.const 6))
      (i32.store (i32.const 548) (i32.const 1067)) (i32.store (i32.const 552) (i32.const 16))))
    (i32.const 512)))
