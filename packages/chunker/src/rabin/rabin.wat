;; Rabin fingerprints of sixteen stretches of a file at once, as restic cuts: where may a chunk end?
;;
;; Once 64 bytes are past, the fingerprint F depends on the last 64 bytes only, so "F has n zero low bits" is a
;; property of the position and a file may be searched in any order. The search runs over sixteen neighbouring
;; stretches ("lanes") of equal length; every v128 holds one byte of each lane.
;;
;; F has 53 bits. The state kept is G = F * x^3, 56 bits, so that a whole byte leaves at the top:
;;
;;   seven planes, $p0 (lowest) to $p6; byte k of plane j is byte j of lane k's G
;;
;; and one step (append byte b, drop byte a, the one 64 bytes earlier; t = top byte of G) is
;;
;;   G := (G << 8 without t)  ^  x^3 * (t * x^53 mod P)  ^  x^3 * (a * x^512 mod P)  ^  x^3 * b
;;
;; The shift by a byte is a renaming of planes. The two products are linear, so each plane of each is the sum of
;; what the low and the high nibble of t (or a) contribute: one 16-entry table look-up (swizzle) per nibble. Indices are
;; always below 16, where the relaxed swizzle is defined and is one instruction everywhere; scripts/build-kernels.mjs also
;; makes a build with the strict one, a quarter slower, for engines without relaxed SIMD.
;;
;; Memory, in bytes (all of it below 128 KiB; the host fills the first two and the input):
;;      0   tables: per plane 64 bytes = t low nibble, t high nibble, a low nibble, a high nibble
;;    448   masks: three v128, the bits of planes 0, 1, 2 that must be zero at a candidate
;;    512   verdicts: 16 rows, one per step of the current group; a zero byte is a candidate of that lane
;;    768   constants: three v128 of 0x0f, 0x07, 0xf8 (as literals they would be rebuilt at every use)
;;   1024   ring: 8 groups of 16 rows; row = one byte of each lane (the input transposed)
;;   4096   input: 64 bytes before the first tested byte, then 16 * lane bytes
(module
  (memory (export "memory") 2 2)
  (data (i32.const 768) "\0f\0f\0f\0f\0f\0f\0f\0f\0f\0f\0f\0f\0f\0f\0f\0f")
  (data (i32.const 784) "\07\07\07\07\07\07\07\07\07\07\07\07\07\07\07\07")
  (data (i32.const 800) "\f8\f8\f8\f8\f8\f8\f8\f8\f8\f8\f8\f8\f8\f8\f8\f8")

  ;; Sixteen bytes of each lane (rows, $stride bytes apart from $from) become sixteen rows of one byte per lane at $to.
  ;; Interleaving rows i and i+8 rotates the eight index bits (row, column) by one; four rounds swap row and column.
  (func $transpose (param $from i32) (param $stride i32) (param $to i32)
    (local $a0 v128) (local $a1 v128) (local $a2 v128) (local $a3 v128) (local $a4 v128) (local $a5 v128) (local $a6 v128) (local $a7 v128)
    (local $a8 v128) (local $a9 v128) (local $a10 v128) (local $a11 v128) (local $a12 v128) (local $a13 v128) (local $a14 v128) (local $a15 v128)
    (local $b0 v128) (local $b1 v128) (local $b2 v128) (local $b3 v128) (local $b4 v128) (local $b5 v128) (local $b6 v128) (local $b7 v128)
    (local $b8 v128) (local $b9 v128) (local $b10 v128) (local $b11 v128) (local $b12 v128) (local $b13 v128) (local $b14 v128) (local $b15 v128)
    (local.set $a0 (v128.load offset=4096 (local.get $from)))
    (local.set $from (i32.add (local.get $from) (local.get $stride)))
    (local.set $a1 (v128.load offset=4096 (local.get $from)))
    (local.set $from (i32.add (local.get $from) (local.get $stride)))
    (local.set $a2 (v128.load offset=4096 (local.get $from)))
    (local.set $from (i32.add (local.get $from) (local.get $stride)))
    (local.set $a3 (v128.load offset=4096 (local.get $from)))
    (local.set $from (i32.add (local.get $from) (local.get $stride)))
    (local.set $a4 (v128.load offset=4096 (local.get $from)))
    (local.set $from (i32.add (local.get $from) (local.get $stride)))
    (local.set $a5 (v128.load offset=4096 (local.get $from)))
    (local.set $from (i32.add (local.get $from) (local.get $stride)))
    (local.set $a6 (v128.load offset=4096 (local.get $from)))
    (local.set $from (i32.add (local.get $from) (local.get $stride)))
    (local.set $a7 (v128.load offset=4096 (local.get $from)))
    (local.set $from (i32.add (local.get $from) (local.get $stride)))
    (local.set $a8 (v128.load offset=4096 (local.get $from)))
    (local.set $from (i32.add (local.get $from) (local.get $stride)))
    (local.set $a9 (v128.load offset=4096 (local.get $from)))
    (local.set $from (i32.add (local.get $from) (local.get $stride)))
    (local.set $a10 (v128.load offset=4096 (local.get $from)))
    (local.set $from (i32.add (local.get $from) (local.get $stride)))
    (local.set $a11 (v128.load offset=4096 (local.get $from)))
    (local.set $from (i32.add (local.get $from) (local.get $stride)))
    (local.set $a12 (v128.load offset=4096 (local.get $from)))
    (local.set $from (i32.add (local.get $from) (local.get $stride)))
    (local.set $a13 (v128.load offset=4096 (local.get $from)))
    (local.set $from (i32.add (local.get $from) (local.get $stride)))
    (local.set $a14 (v128.load offset=4096 (local.get $from)))
    (local.set $from (i32.add (local.get $from) (local.get $stride)))
    (local.set $a15 (v128.load offset=4096 (local.get $from)))
    ;; round 1
    (local.set $b0 (i8x16.shuffle 0 16 1 17 2 18 3 19 4 20 5 21 6 22 7 23 (local.get $a0) (local.get $a8)))
    (local.set $b1 (i8x16.shuffle 8 24 9 25 10 26 11 27 12 28 13 29 14 30 15 31 (local.get $a0) (local.get $a8)))
    (local.set $b2 (i8x16.shuffle 0 16 1 17 2 18 3 19 4 20 5 21 6 22 7 23 (local.get $a1) (local.get $a9)))
    (local.set $b3 (i8x16.shuffle 8 24 9 25 10 26 11 27 12 28 13 29 14 30 15 31 (local.get $a1) (local.get $a9)))
    (local.set $b4 (i8x16.shuffle 0 16 1 17 2 18 3 19 4 20 5 21 6 22 7 23 (local.get $a2) (local.get $a10)))
    (local.set $b5 (i8x16.shuffle 8 24 9 25 10 26 11 27 12 28 13 29 14 30 15 31 (local.get $a2) (local.get $a10)))
    (local.set $b6 (i8x16.shuffle 0 16 1 17 2 18 3 19 4 20 5 21 6 22 7 23 (local.get $a3) (local.get $a11)))
    (local.set $b7 (i8x16.shuffle 8 24 9 25 10 26 11 27 12 28 13 29 14 30 15 31 (local.get $a3) (local.get $a11)))
    (local.set $b8 (i8x16.shuffle 0 16 1 17 2 18 3 19 4 20 5 21 6 22 7 23 (local.get $a4) (local.get $a12)))
    (local.set $b9 (i8x16.shuffle 8 24 9 25 10 26 11 27 12 28 13 29 14 30 15 31 (local.get $a4) (local.get $a12)))
    (local.set $b10 (i8x16.shuffle 0 16 1 17 2 18 3 19 4 20 5 21 6 22 7 23 (local.get $a5) (local.get $a13)))
    (local.set $b11 (i8x16.shuffle 8 24 9 25 10 26 11 27 12 28 13 29 14 30 15 31 (local.get $a5) (local.get $a13)))
    (local.set $b12 (i8x16.shuffle 0 16 1 17 2 18 3 19 4 20 5 21 6 22 7 23 (local.get $a6) (local.get $a14)))
    (local.set $b13 (i8x16.shuffle 8 24 9 25 10 26 11 27 12 28 13 29 14 30 15 31 (local.get $a6) (local.get $a14)))
    (local.set $b14 (i8x16.shuffle 0 16 1 17 2 18 3 19 4 20 5 21 6 22 7 23 (local.get $a7) (local.get $a15)))
    (local.set $b15 (i8x16.shuffle 8 24 9 25 10 26 11 27 12 28 13 29 14 30 15 31 (local.get $a7) (local.get $a15)))
    ;; round 2
    (local.set $a0 (i8x16.shuffle 0 16 1 17 2 18 3 19 4 20 5 21 6 22 7 23 (local.get $b0) (local.get $b8)))
    (local.set $a1 (i8x16.shuffle 8 24 9 25 10 26 11 27 12 28 13 29 14 30 15 31 (local.get $b0) (local.get $b8)))
    (local.set $a2 (i8x16.shuffle 0 16 1 17 2 18 3 19 4 20 5 21 6 22 7 23 (local.get $b1) (local.get $b9)))
    (local.set $a3 (i8x16.shuffle 8 24 9 25 10 26 11 27 12 28 13 29 14 30 15 31 (local.get $b1) (local.get $b9)))
    (local.set $a4 (i8x16.shuffle 0 16 1 17 2 18 3 19 4 20 5 21 6 22 7 23 (local.get $b2) (local.get $b10)))
    (local.set $a5 (i8x16.shuffle 8 24 9 25 10 26 11 27 12 28 13 29 14 30 15 31 (local.get $b2) (local.get $b10)))
    (local.set $a6 (i8x16.shuffle 0 16 1 17 2 18 3 19 4 20 5 21 6 22 7 23 (local.get $b3) (local.get $b11)))
    (local.set $a7 (i8x16.shuffle 8 24 9 25 10 26 11 27 12 28 13 29 14 30 15 31 (local.get $b3) (local.get $b11)))
    (local.set $a8 (i8x16.shuffle 0 16 1 17 2 18 3 19 4 20 5 21 6 22 7 23 (local.get $b4) (local.get $b12)))
    (local.set $a9 (i8x16.shuffle 8 24 9 25 10 26 11 27 12 28 13 29 14 30 15 31 (local.get $b4) (local.get $b12)))
    (local.set $a10 (i8x16.shuffle 0 16 1 17 2 18 3 19 4 20 5 21 6 22 7 23 (local.get $b5) (local.get $b13)))
    (local.set $a11 (i8x16.shuffle 8 24 9 25 10 26 11 27 12 28 13 29 14 30 15 31 (local.get $b5) (local.get $b13)))
    (local.set $a12 (i8x16.shuffle 0 16 1 17 2 18 3 19 4 20 5 21 6 22 7 23 (local.get $b6) (local.get $b14)))
    (local.set $a13 (i8x16.shuffle 8 24 9 25 10 26 11 27 12 28 13 29 14 30 15 31 (local.get $b6) (local.get $b14)))
    (local.set $a14 (i8x16.shuffle 0 16 1 17 2 18 3 19 4 20 5 21 6 22 7 23 (local.get $b7) (local.get $b15)))
    (local.set $a15 (i8x16.shuffle 8 24 9 25 10 26 11 27 12 28 13 29 14 30 15 31 (local.get $b7) (local.get $b15)))
    ;; round 3
    (local.set $b0 (i8x16.shuffle 0 16 1 17 2 18 3 19 4 20 5 21 6 22 7 23 (local.get $a0) (local.get $a8)))
    (local.set $b1 (i8x16.shuffle 8 24 9 25 10 26 11 27 12 28 13 29 14 30 15 31 (local.get $a0) (local.get $a8)))
    (local.set $b2 (i8x16.shuffle 0 16 1 17 2 18 3 19 4 20 5 21 6 22 7 23 (local.get $a1) (local.get $a9)))
    (local.set $b3 (i8x16.shuffle 8 24 9 25 10 26 11 27 12 28 13 29 14 30 15 31 (local.get $a1) (local.get $a9)))
    (local.set $b4 (i8x16.shuffle 0 16 1 17 2 18 3 19 4 20 5 21 6 22 7 23 (local.get $a2) (local.get $a10)))
    (local.set $b5 (i8x16.shuffle 8 24 9 25 10 26 11 27 12 28 13 29 14 30 15 31 (local.get $a2) (local.get $a10)))
    (local.set $b6 (i8x16.shuffle 0 16 1 17 2 18 3 19 4 20 5 21 6 22 7 23 (local.get $a3) (local.get $a11)))
    (local.set $b7 (i8x16.shuffle 8 24 9 25 10 26 11 27 12 28 13 29 14 30 15 31 (local.get $a3) (local.get $a11)))
    (local.set $b8 (i8x16.shuffle 0 16 1 17 2 18 3 19 4 20 5 21 6 22 7 23 (local.get $a4) (local.get $a12)))
    (local.set $b9 (i8x16.shuffle 8 24 9 25 10 26 11 27 12 28 13 29 14 30 15 31 (local.get $a4) (local.get $a12)))
    (local.set $b10 (i8x16.shuffle 0 16 1 17 2 18 3 19 4 20 5 21 6 22 7 23 (local.get $a5) (local.get $a13)))
    (local.set $b11 (i8x16.shuffle 8 24 9 25 10 26 11 27 12 28 13 29 14 30 15 31 (local.get $a5) (local.get $a13)))
    (local.set $b12 (i8x16.shuffle 0 16 1 17 2 18 3 19 4 20 5 21 6 22 7 23 (local.get $a6) (local.get $a14)))
    (local.set $b13 (i8x16.shuffle 8 24 9 25 10 26 11 27 12 28 13 29 14 30 15 31 (local.get $a6) (local.get $a14)))
    (local.set $b14 (i8x16.shuffle 0 16 1 17 2 18 3 19 4 20 5 21 6 22 7 23 (local.get $a7) (local.get $a15)))
    (local.set $b15 (i8x16.shuffle 8 24 9 25 10 26 11 27 12 28 13 29 14 30 15 31 (local.get $a7) (local.get $a15)))
    ;; round 4
    (local.set $a0 (i8x16.shuffle 0 16 1 17 2 18 3 19 4 20 5 21 6 22 7 23 (local.get $b0) (local.get $b8)))
    (local.set $a1 (i8x16.shuffle 8 24 9 25 10 26 11 27 12 28 13 29 14 30 15 31 (local.get $b0) (local.get $b8)))
    (local.set $a2 (i8x16.shuffle 0 16 1 17 2 18 3 19 4 20 5 21 6 22 7 23 (local.get $b1) (local.get $b9)))
    (local.set $a3 (i8x16.shuffle 8 24 9 25 10 26 11 27 12 28 13 29 14 30 15 31 (local.get $b1) (local.get $b9)))
    (local.set $a4 (i8x16.shuffle 0 16 1 17 2 18 3 19 4 20 5 21 6 22 7 23 (local.get $b2) (local.get $b10)))
    (local.set $a5 (i8x16.shuffle 8 24 9 25 10 26 11 27 12 28 13 29 14 30 15 31 (local.get $b2) (local.get $b10)))
    (local.set $a6 (i8x16.shuffle 0 16 1 17 2 18 3 19 4 20 5 21 6 22 7 23 (local.get $b3) (local.get $b11)))
    (local.set $a7 (i8x16.shuffle 8 24 9 25 10 26 11 27 12 28 13 29 14 30 15 31 (local.get $b3) (local.get $b11)))
    (local.set $a8 (i8x16.shuffle 0 16 1 17 2 18 3 19 4 20 5 21 6 22 7 23 (local.get $b4) (local.get $b12)))
    (local.set $a9 (i8x16.shuffle 8 24 9 25 10 26 11 27 12 28 13 29 14 30 15 31 (local.get $b4) (local.get $b12)))
    (local.set $a10 (i8x16.shuffle 0 16 1 17 2 18 3 19 4 20 5 21 6 22 7 23 (local.get $b5) (local.get $b13)))
    (local.set $a11 (i8x16.shuffle 8 24 9 25 10 26 11 27 12 28 13 29 14 30 15 31 (local.get $b5) (local.get $b13)))
    (local.set $a12 (i8x16.shuffle 0 16 1 17 2 18 3 19 4 20 5 21 6 22 7 23 (local.get $b6) (local.get $b14)))
    (local.set $a13 (i8x16.shuffle 8 24 9 25 10 26 11 27 12 28 13 29 14 30 15 31 (local.get $b6) (local.get $b14)))
    (local.set $a14 (i8x16.shuffle 0 16 1 17 2 18 3 19 4 20 5 21 6 22 7 23 (local.get $b7) (local.get $b15)))
    (local.set $a15 (i8x16.shuffle 8 24 9 25 10 26 11 27 12 28 13 29 14 30 15 31 (local.get $b7) (local.get $b15)))
    (v128.store offset=1024 (local.get $to) (local.get $a0))
    (v128.store offset=1040 (local.get $to) (local.get $a1))
    (v128.store offset=1056 (local.get $to) (local.get $a2))
    (v128.store offset=1072 (local.get $to) (local.get $a3))
    (v128.store offset=1088 (local.get $to) (local.get $a4))
    (v128.store offset=1104 (local.get $to) (local.get $a5))
    (v128.store offset=1120 (local.get $to) (local.get $a6))
    (v128.store offset=1136 (local.get $to) (local.get $a7))
    (v128.store offset=1152 (local.get $to) (local.get $a8))
    (v128.store offset=1168 (local.get $to) (local.get $a9))
    (v128.store offset=1184 (local.get $to) (local.get $a10))
    (v128.store offset=1200 (local.get $to) (local.get $a11))
    (v128.store offset=1216 (local.get $to) (local.get $a12))
    (v128.store offset=1232 (local.get $to) (local.get $a13))
    (v128.store offset=1248 (local.get $to) (local.get $a14))
    (v128.store offset=1264 (local.get $to) (local.get $a15))
  )

  ;; The first candidate among the 16 * $lane bytes after the first 64 of the input: its 0-based position, or -1.
  ;; $lane is a multiple of 16. Behind the end of what the caller copied in, results mean nothing.
  (func (export "scan") (param $lane i32) (result i32)
    (local $p0 v128) (local $p1 v128) (local $p2 v128) (local $p3 v128) (local $p4 v128) (local $p5 v128) (local $p6 v128)
    (local $new v128) (local $old v128) (local $tl v128) (local $th v128) (local $ol v128) (local $oh v128)
    (local $verdict v128) (local $lowest v128)
    (local $group i32) (local $newRow i32) (local $oldRow i32) (local $step i32)
    (local $alive i32) (local $hits i32) (local $first i32) (local $found i32)
    ;; Before the first byte nothing is in the window: the four groups "64 bytes earlier" are zero.
    (memory.fill (i32.const 2048) (i32.const 0) (i32.const 1024))
    (local.set $alive (i32.const 0xffff))
    (local.set $found (i32.const -1))
    (loop $groups
      (local.set $newRow (i32.and (i32.shl (local.get $group) (i32.const 4)) (i32.const 0x7ff)))
      (local.set $oldRow (i32.xor (local.get $newRow) (i32.const 0x400)))
      (call $transpose (local.get $group) (local.get $lane) (local.get $newRow))
      (local.set $lowest (v128.const i32x4 -1 -1 -1 -1))
      (local.set $step (i32.const 0))
      (loop $steps
        (local.set $new (v128.load offset=1024 (i32.add (local.get $newRow) (local.get $step))))
        (local.set $old (v128.load offset=1024 (i32.add (local.get $oldRow) (local.get $step))))
        (local.set $ol (v128.and (local.get $old) (v128.load offset=768 (i32.const 0))))
        (local.set $oh (v128.and (i16x8.shr_u (local.get $old) (i32.const 4)) (v128.load offset=768 (i32.const 0))))
        (local.set $tl (v128.and (local.get $p6) (v128.load offset=768 (i32.const 0))))
        (local.set $th (v128.and (i16x8.shr_u (local.get $p6) (i32.const 4)) (v128.load offset=768 (i32.const 0))))
        (local.set $p6 (v128.xor (local.get $p5)
          (v128.xor (v128.xor (i8x16.relaxed_swizzle (v128.load offset=416 (i32.const 0)) (local.get $ol)) (i8x16.relaxed_swizzle (v128.load offset=432 (i32.const 0)) (local.get $oh)))
                    (v128.xor (i8x16.relaxed_swizzle (v128.load offset=384 (i32.const 0)) (local.get $tl)) (i8x16.relaxed_swizzle (v128.load offset=400 (i32.const 0)) (local.get $th))))))
        (local.set $p5 (v128.xor (local.get $p4)
          (v128.xor (v128.xor (i8x16.relaxed_swizzle (v128.load offset=352 (i32.const 0)) (local.get $ol)) (i8x16.relaxed_swizzle (v128.load offset=368 (i32.const 0)) (local.get $oh)))
                    (v128.xor (i8x16.relaxed_swizzle (v128.load offset=320 (i32.const 0)) (local.get $tl)) (i8x16.relaxed_swizzle (v128.load offset=336 (i32.const 0)) (local.get $th))))))
        (local.set $p4 (v128.xor (local.get $p3)
          (v128.xor (v128.xor (i8x16.relaxed_swizzle (v128.load offset=288 (i32.const 0)) (local.get $ol)) (i8x16.relaxed_swizzle (v128.load offset=304 (i32.const 0)) (local.get $oh)))
                    (v128.xor (i8x16.relaxed_swizzle (v128.load offset=256 (i32.const 0)) (local.get $tl)) (i8x16.relaxed_swizzle (v128.load offset=272 (i32.const 0)) (local.get $th))))))
        (local.set $p3 (v128.xor (local.get $p2)
          (v128.xor (v128.xor (i8x16.relaxed_swizzle (v128.load offset=224 (i32.const 0)) (local.get $ol)) (i8x16.relaxed_swizzle (v128.load offset=240 (i32.const 0)) (local.get $oh)))
                    (v128.xor (i8x16.relaxed_swizzle (v128.load offset=192 (i32.const 0)) (local.get $tl)) (i8x16.relaxed_swizzle (v128.load offset=208 (i32.const 0)) (local.get $th))))))
        (local.set $p2 (v128.xor (local.get $p1)
          (v128.xor (v128.xor (i8x16.relaxed_swizzle (v128.load offset=160 (i32.const 0)) (local.get $ol)) (i8x16.relaxed_swizzle (v128.load offset=176 (i32.const 0)) (local.get $oh)))
                    (v128.xor (i8x16.relaxed_swizzle (v128.load offset=128 (i32.const 0)) (local.get $tl)) (i8x16.relaxed_swizzle (v128.load offset=144 (i32.const 0)) (local.get $th))))))
        ;; x^3 * b straddles the two lowest planes.
        (local.set $p1 (v128.xor (v128.xor (local.get $p0) (v128.and (i16x8.shr_u (local.get $new) (i32.const 5)) (v128.load offset=784 (i32.const 0))))
          (v128.xor (v128.xor (i8x16.relaxed_swizzle (v128.load offset=96 (i32.const 0)) (local.get $ol)) (i8x16.relaxed_swizzle (v128.load offset=112 (i32.const 0)) (local.get $oh)))
                    (v128.xor (i8x16.relaxed_swizzle (v128.load offset=64 (i32.const 0)) (local.get $tl)) (i8x16.relaxed_swizzle (v128.load offset=80 (i32.const 0)) (local.get $th))))))
        (local.set $p0 (v128.xor (v128.and (i16x8.shl (local.get $new) (i32.const 3)) (v128.load offset=800 (i32.const 0)))
          (v128.xor (v128.xor (i8x16.relaxed_swizzle (v128.load offset=32 (i32.const 0)) (local.get $ol)) (i8x16.relaxed_swizzle (v128.load offset=48 (i32.const 0)) (local.get $oh)))
                    (v128.xor (i8x16.relaxed_swizzle (v128.load offset=0 (i32.const 0)) (local.get $tl)) (i8x16.relaxed_swizzle (v128.load offset=16 (i32.const 0)) (local.get $th))))))
        (local.set $verdict
          (v128.or (v128.and (local.get $p2) (v128.load offset=480 (i32.const 0)))
            (v128.or (v128.and (local.get $p1) (v128.load offset=464 (i32.const 0)))
                     (v128.and (local.get $p0) (v128.load offset=448 (i32.const 0))))))
        (v128.store offset=512 (local.get $step) (local.get $verdict))
        (local.set $lowest (i8x16.min_u (local.get $lowest) (local.get $verdict)))
        (br_if $steps (i32.lt_u (local.tee $step (i32.add (local.get $step) (i32.const 16))) (i32.const 256))))
      ;; The first four groups only fill the window. Afterwards a candidate in lane k makes lanes k and above moot: their
      ;; positions are later. Thus a run of zeros, all candidates, costs at most sixteen visits here.
      (if (i32.ge_u (local.get $group) (i32.const 64))
        (then
          (local.set $hits
            (i32.and (i8x16.bitmask (i8x16.eq (local.get $lowest) (v128.const i32x4 0 0 0 0))) (local.get $alive)))
          (if (local.get $hits)
            (then
              (local.set $first (i32.ctz (local.get $hits)))
              (local.set $step (local.get $first))
              (loop $seek
                (if (i32.load8_u offset=512 (local.get $step))
                  (then
                    (local.set $step (i32.add (local.get $step) (i32.const 16)))
                    (br $seek))))
              (local.set $found
                (i32.add (i32.mul (local.get $first) (local.get $lane))
                  (i32.add (i32.sub (local.get $group) (i32.const 64)) (i32.shr_u (local.get $step) (i32.const 4)))))
              (local.set $alive (i32.sub (i32.shl (i32.const 1) (local.get $first)) (i32.const 1)))
              (if (i32.eqz (local.get $alive)) (then (return (local.get $found))))))))
      (br_if $groups
        (i32.lt_u (local.tee $group (i32.add (local.get $group) (i32.const 16)))
                  (i32.add (local.get $lane) (i32.const 64)))))
    (local.get $found))
)
