;; Poly1305 (RFC 8439 §2.5): tag = (((m1·r^n + m2·r^(n-1) + … + mn·r) mod 2^130 - 5) + s) mod 2^128.
;;
;; The accumulator h is five limbs of 32 bits in i64: h0…h3 and the few bits h4 above 2^128. r needs four limbs, and
;; clamping (RFC 8439 §2.5: the top four bits of each limb and the low two of r1…r3 are zero) buys two things:
;; a product limb is a sum of at most five 64-bit products that cannot overflow, and a product of weight 2^130 or more
;; folds back exactly, since 2^128·ri = 2^130·ri/4 ≡ 5·ri/4 = si.
;;
;; Bounds, at the start of every block: h0 < 2^33, h1…h3 < 2^32, h4 <= 3; so with the message a0 < 1.5·2^33,
;; a1…a3 < 2^33, a4 <= 4; ri < 2^28 and si < 1.25·2^28, so every d < 5.25·2^61 + 2^31 < 2^64, and
;; d4 < 2^30 + 2^31.2, hence what is folded into h0 is < 2^32 and the bound on h0 holds again.
;; Nothing branches on a secret and no address depends on one.
;;
;; Memory, one page: 0 r (16 bytes), 16 s (16 bytes), 32 tag (16 bytes), 1024 message slice (32768 bytes).
(module
  (memory (export "memory") 1 1)

  (global $h0 (mut i64) (i64.const 0))
  (global $h1 (mut i64) (i64.const 0))
  (global $h2 (mut i64) (i64.const 0))
  (global $h3 (mut i64) (i64.const 0))
  (global $h4 (mut i64) (i64.const 0))

  ;; Starts a message. The key lies at 0.
  (func (export "init")
    (i64.store (i32.const 0) (i64.and (i64.load (i32.const 0)) (i64.const 0x0ffffffc0fffffff)))
    (i64.store (i32.const 8) (i64.and (i64.load (i32.const 8)) (i64.const 0x0ffffffc0ffffffc)))
    (global.set $h0 (i64.const 0))
    (global.set $h1 (i64.const 0))
    (global.set $h2 (i64.const 0))
    (global.set $h3 (i64.const 0))
    (global.set $h4 (i64.const 0)))

  ;; Takes the blocks from 1024 to 1024 + $length, a multiple of 16. $top is 1 for whole blocks, and 0 for the last one
  ;; that the caller padded with 1, 0, 0, …
  (func (export "blocks") (param $length i32) (param $top i64)
    (local $at i32) (local $end i32)
    (local $r0 i64) (local $r1 i64) (local $r2 i64) (local $r3 i64)
    (local $s1 i64) (local $s2 i64) (local $s3 i64)
    (local $h0 i64) (local $h1 i64) (local $h2 i64) (local $h3 i64) (local $h4 i64)
    (local $d0 i64) (local $d1 i64) (local $d2 i64) (local $d3 i64) (local $d4 i64)
    (local.set $r0 (i64.load32_u (i32.const 0)))
    (local.set $r1 (i64.load32_u (i32.const 4)))
    (local.set $r2 (i64.load32_u (i32.const 8)))
    (local.set $r3 (i64.load32_u (i32.const 12)))
    (local.set $s1 (i64.add (local.get $r1) (i64.shr_u (local.get $r1) (i64.const 2))))
    (local.set $s2 (i64.add (local.get $r2) (i64.shr_u (local.get $r2) (i64.const 2))))
    (local.set $s3 (i64.add (local.get $r3) (i64.shr_u (local.get $r3) (i64.const 2))))
    (local.set $h0 (global.get $h0))
    (local.set $h1 (global.get $h1))
    (local.set $h2 (global.get $h2))
    (local.set $h3 (global.get $h3))
    (local.set $h4 (global.get $h4))
    (local.set $at (i32.const 1024))
    (local.set $end (i32.add (local.get $at) (local.get $length)))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
        ;; h += block
        (local.set $h0 (i64.add (local.get $h0) (i64.load32_u (local.get $at))))
        (local.set $h1 (i64.add (local.get $h1) (i64.load32_u offset=4 (local.get $at))))
        (local.set $h2 (i64.add (local.get $h2) (i64.load32_u offset=8 (local.get $at))))
        (local.set $h3 (i64.add (local.get $h3) (i64.load32_u offset=12 (local.get $at))))
        (local.set $h4 (i64.add (local.get $h4) (local.get $top)))
        ;; d = h · r; the product with h0, known last, is added last
        (local.set $d0
          (i64.add
            (i64.add
              (i64.add (i64.mul (local.get $h1) (local.get $s3)) (i64.mul (local.get $h2) (local.get $s2)))
              (i64.mul (local.get $h3) (local.get $s1)))
            (i64.mul (local.get $h0) (local.get $r0))))
        (local.set $d1
          (i64.add
            (i64.add
              (i64.add (i64.mul (local.get $h1) (local.get $r0)) (i64.mul (local.get $h2) (local.get $s3)))
              (i64.add (i64.mul (local.get $h3) (local.get $s2)) (i64.mul (local.get $h4) (local.get $s1))))
            (i64.mul (local.get $h0) (local.get $r1))))
        (local.set $d2
          (i64.add
            (i64.add
              (i64.add (i64.mul (local.get $h1) (local.get $r1)) (i64.mul (local.get $h2) (local.get $r0)))
              (i64.add (i64.mul (local.get $h3) (local.get $s3)) (i64.mul (local.get $h4) (local.get $s2))))
            (i64.mul (local.get $h0) (local.get $r2))))
        (local.set $d3
          (i64.add
            (i64.add
              (i64.add (i64.mul (local.get $h1) (local.get $r2)) (i64.mul (local.get $h2) (local.get $r1)))
              (i64.add (i64.mul (local.get $h3) (local.get $r0)) (i64.mul (local.get $h4) (local.get $s3))))
            (i64.mul (local.get $h0) (local.get $r3))))
        (local.set $d4 (i64.mul (local.get $h4) (local.get $r0)))
        ;; carry, and fold what lies at or above 2^130
        (local.set $h0 (i64.and (local.get $d0) (i64.const 0xffffffff)))
        (local.set $d1 (i64.add (local.get $d1) (i64.shr_u (local.get $d0) (i64.const 32))))
        (local.set $h1 (i64.and (local.get $d1) (i64.const 0xffffffff)))
        (local.set $d2 (i64.add (local.get $d2) (i64.shr_u (local.get $d1) (i64.const 32))))
        (local.set $h2 (i64.and (local.get $d2) (i64.const 0xffffffff)))
        (local.set $d3 (i64.add (local.get $d3) (i64.shr_u (local.get $d2) (i64.const 32))))
        (local.set $h3 (i64.and (local.get $d3) (i64.const 0xffffffff)))
        (local.set $d4 (i64.add (local.get $d4) (i64.shr_u (local.get $d3) (i64.const 32))))
        (local.set $h4 (i64.and (local.get $d4) (i64.const 3)))
        (local.set $d4 (i64.shr_u (local.get $d4) (i64.const 2)))
        (local.set $h0
          (i64.add (local.get $h0) (i64.add (local.get $d4) (i64.shl (local.get $d4) (i64.const 2)))))
        (local.set $at (i32.add (local.get $at) (i32.const 16)))
        (br $next)))
    (global.set $h0 (local.get $h0))
    (global.set $h1 (local.get $h1))
    (global.set $h2 (local.get $h2))
    (global.set $h3 (local.get $h3))
    (global.set $h4 (local.get $h4)))

  ;; Ends a message: the tag appears at 32.
  (func (export "finish")
    (local $h0 i64) (local $h1 i64) (local $h2 i64) (local $h3 i64) (local $h4 i64) (local $q i64)
    (local.set $h0 (global.get $h0))
    (local.set $h1 (i64.add (global.get $h1) (i64.shr_u (local.get $h0) (i64.const 32))))
    (local.set $h2 (i64.add (global.get $h2) (i64.shr_u (local.get $h1) (i64.const 32))))
    (local.set $h3 (i64.add (global.get $h3) (i64.shr_u (local.get $h2) (i64.const 32))))
    (local.set $h4 (i64.add (global.get $h4) (i64.shr_u (local.get $h3) (i64.const 32))))
    (local.set $h0 (i64.and (local.get $h0) (i64.const 0xffffffff)))
    (local.set $h1 (i64.and (local.get $h1) (i64.const 0xffffffff)))
    (local.set $h2 (i64.and (local.get $h2) (i64.const 0xffffffff)))
    (local.set $h3 (i64.and (local.get $h3) (i64.const 0xffffffff)))
    ;; With t = floor(h / 2^130), q = floor(h / p) is t or t + 1, and it is t + 1 just when h + 5·(t + 1) reaches
    ;; (t + 1)·2^130. Then h mod p = h + 5·q - q·2^130, of which the tag needs the low 128 bits only.
    (local.set $q (call $quotient
      (local.get $h0) (local.get $h1) (local.get $h2) (local.get $h3) (local.get $h4)
      (i64.mul (i64.add (i64.shr_u (local.get $h4) (i64.const 2)) (i64.const 1)) (i64.const 5))))
    (local.set $h0 (i64.add (local.get $h0) (i64.mul (local.get $q) (i64.const 5))))
    ;; + s, with the carries of both sums at once
    (local.set $h0 (i64.add (local.get $h0) (i64.load32_u (i32.const 16))))
    (local.set $h1 (i64.add (i64.add (local.get $h1) (i64.load32_u (i32.const 20))) (i64.shr_u (local.get $h0) (i64.const 32))))
    (local.set $h2 (i64.add (i64.add (local.get $h2) (i64.load32_u (i32.const 24))) (i64.shr_u (local.get $h1) (i64.const 32))))
    (local.set $h3 (i64.add (i64.add (local.get $h3) (i64.load32_u (i32.const 28))) (i64.shr_u (local.get $h2) (i64.const 32))))
    (i64.store32 (i32.const 32) (local.get $h0))
    (i64.store32 (i32.const 36) (local.get $h1))
    (i64.store32 (i32.const 40) (local.get $h2))
    (i64.store32 (i32.const 44) (local.get $h3)))

  ;; floor((h + $plus) / 2^130)
  (func $quotient
    (param $h0 i64) (param $h1 i64) (param $h2 i64) (param $h3 i64) (param $h4 i64) (param $plus i64) (result i64)
    (local.set $plus (i64.shr_u (i64.add (local.get $h0) (local.get $plus)) (i64.const 32)))
    (local.set $plus (i64.shr_u (i64.add (local.get $h1) (local.get $plus)) (i64.const 32)))
    (local.set $plus (i64.shr_u (i64.add (local.get $h2) (local.get $plus)) (i64.const 32)))
    (local.set $plus (i64.shr_u (i64.add (local.get $h3) (local.get $plus)) (i64.const 32)))
    (i64.shr_u (i64.add (local.get $h4) (local.get $plus)) (i64.const 2)))
)
