# Every 16-bit instruction of RV32C with immediates at the ends of their ranges. The assembler does the encoding, so this is
# independent of the decoder it tests. Ends with exit code 0, or the number of the check that failed.
	.option	rvc
	.option	norelax

	.macro	check	register, value
	li	t6, \value
	.option	push
	.option	norvc
	addi	gp, gp, 1
	beq	\register, t6, 1f
	j	fail
1:	.option	pop
	.endm

	.section .text.start, "ax"
	.globl _start
_start:
	li	gp, 0
	la	t0, trap
	csrw	mtvec, t0

# ---- constants and immediates
	c.li	a0, 31
	check	a0, 31
	c.li	a0, -32
	check	a0, -32
	c.li	t5, 0
	check	t5, 0
	c.lui	a0, 1
	check	a0, 0x1000
	c.lui	a0, 31
	check	a0, 0x1f000
	c.lui	s11, 0xfffe0		# -32
	check	s11, 0xfffe0000
	c.lui	a0, 0xfffff
	check	a0, 0xfffff000
	li	a0, 1000
	c.addi	a0, 31
	check	a0, 1031
	c.addi	a0, -32
	check	a0, 999
	c.nop
	li	sp, 0x80100000
	c.addi16sp sp, 496
	check	sp, 0x801001f0
	c.addi16sp sp, -512
	check	sp, 0x800ffff0
	c.addi16sp sp, 16
	check	sp, 0x80100000
	c.addi4spn s0, sp, 4
	check	s0, 0x80100004
	c.addi4spn a5, sp, 1020
	check	a5, 0x801003fc
	c.addi4spn a0, sp, 512
	check	a0, 0x80100200
	c.addi4spn a0, sp, 64
	check	a0, 0x80100040
	c.addi4spn a0, sp, 8
	check	a0, 0x80100008

# ---- register to register
	li	a0, 0x12345678
	c.mv	t4, a0
	check	t4, 0x12345678
	c.add	t4, a0
	check	t4, 0x2468acf0
	li	a1, 0x0f0f0f0f
	c.sub	a0, a1
	check	a0, 0x03254769
	c.xor	a0, a1
	check	a0, 0x0c2a4866
	c.or	a0, a1
	check	a0, 0x0f2f4f6f
	c.and	a0, a1
	check	a0, 0x0f0f0f0f
	c.andi	a0, 31
	check	a0, 15
	li	a0, 0xffffffff
	c.andi	a0, -32
	check	a0, 0xffffffe0

# ---- shifts
	li	s1, 0x80000001
	c.srli	s1, 31
	check	s1, 1
	li	s1, 0x80000000
	c.srai	s1, 31
	check	s1, 0xffffffff
	li	s1, 0x80000010
	c.srai	s1, 4
	check	s1, 0xf8000001
	c.srli	s1, 1
	check	s1, 0x7c000000
	li	t3, 3
	c.slli	t3, 31
	check	t3, 0x80000000
	li	t3, 3
	c.slli	t3, 1
	check	t3, 6

# ---- memory
	la	a4, data
	c.lw	a0, 0(a4)
	check	a0, 0x11111111
	c.lw	a0, 4(a4)
	check	a0, 0x22222222
	c.lw	a0, 64(a4)
	check	a0, 0x33333333
	c.lw	a0, 124(a4)
	check	a0, 0x44444444
	li	a1, 0x55aa55aa
	c.sw	a1, 124(a4)
	lw	a2, 124(a4)
	check	a2, 0x55aa55aa
	c.sw	a1, 8(a4)
	lw	a2, 8(a4)
	check	a2, 0x55aa55aa
	la	sp, data
	c.lwsp	s10, 64(sp)
	check	s10, 0x33333333
	c.lwsp	s10, 252(sp)
	check	s10, 0x66666666
	c.lwsp	s10, 4(sp)
	check	s10, 0x22222222
	c.swsp	a1, 252(sp)
	lw	a2, 252(sp)
	check	a2, 0x55aa55aa
	c.swsp	s10, 0(sp)
	lw	a2, 0(sp)
	check	a2, 0x22222222

# ---- jumps and branches, near and as far as they reach
	li	s0, 0
	c.beqz	s0, 2f
	j	fail
2:	c.bnez	s0, fail_near
	li	s0, 0x80000000
	c.beqz	s0, fail_near
	c.bnez	s0, 3f
fail_near:
	j	fail
3:	c.j	4f
	j	fail
4:	la	t0, 5f
	c.jr	t0
	j	fail
5:	la	t0, 6f
	c.jalr	t0
link:	j	fail
6:	la	t1, link
	sub	a0, ra, t1
	check	a0, 0
	c.jal	7f
link2:	j	fail
7:	la	t1, link2
	sub	a0, ra, t1
	check	a0, 0

# Each branch and jump goes exactly as far as its field reaches, which is checked afterwards.
	li	a0, 0
branch1:
	c.beqz	a0, branch1_to
	.space	254 - 2
branch1_to:
	c.j	branch2
branch2_to:
	c.j	jump1
	.space	256 - 2
branch2:
	c.beqz	a0, branch2_to

jump1:	c.j	jump1_to
	.space	2046 - 2
jump1_to:
	j	jump2
jump2_to:
	j	jumps_done
	.space	2048 - 4
jump2:	c.j	jump2_to
jumps_done:
	.macro	reach	from, to, bytes
	la	t0, \to
	la	t1, \from
	sub	t0, t0, t1
	check	t0, \bytes
	.endm
	reach	branch1, branch1_to, 254
	reach	branch2, branch2_to, -256
	reach	jump1, jump1_to, 2046
	reach	jump2, jump2_to, -2048

# ---- hints do nothing
	li	a0, 77
	.half	0x0005			# c.nop with immediate 1
	.half	0x4005			# c.li x0, 1
	.half	0x6005			# c.lui x0, 1
	.half	0x802a			# c.mv x0, a0
	.half	0x902a			# c.add x0, a0
	.half	0x0006			# c.slli x0, 1
	.half	0x0501			# c.addi a0, 0
	.half	0x0502			# c.slli a0, 0
	.half	0x8101			# c.srli a0, 0
	check	a0, 77

# ---- what must trap: c.ebreak (cause 3), reserved and absent encodings (cause 2)
	.macro	traps	encoding, cause
	li	s2, 0
	.half	\encoding
	check	s2, \cause
	.endm
	traps	0x9002, 3		# c.ebreak
	traps	0x0000, 2		# defined illegal
	traps	0x0004, 2		# c.addi4spn with immediate 0
	traps	0x6101, 2		# c.addi16sp with immediate 0
	traps	0x6501, 2		# c.lui with immediate 0
	traps	0x4002, 2		# c.lwsp to x0
	traps	0x8002, 2		# c.jr x0
	traps	0x9501, 2		# c.srai by 32
	traps	0x9101, 2		# c.srli by 32
	traps	0x1502, 2		# c.slli by 32
	traps	0x9d09, 2		# c.subw
	traps	0x9d29, 2		# c.addw
	traps	0x2000, 2		# c.fld
	traps	0x6000, 2		# c.flw
	traps	0x8000, 2		# reserved
	traps	0xa000, 2		# c.fsd
	traps	0xe000, 2		# c.fsw
	traps	0x2002, 2		# c.fldsp
	traps	0x6002, 2		# c.flwsp
	traps	0xa002, 2		# c.fsdsp
	traps	0xe002, 2		# c.fswsp

	li	gp, 0
fail:
	slli	a0, gp, 1
	ori	a0, a0, 1
	la	t0, tohost
	sw	a0, 0(t0)
8:	j	8b

# Notes the cause and steps over the 16-bit instruction.
	.balign	4
trap:
	csrr	s2, mcause
	csrr	t0, mepc
	addi	t0, t0, 2
	csrw	mepc, t0
	mret

	.section .tohost, "aw"
	.balign	64
	.globl	tohost
tohost:	.dword	0

	.data
	.balign	64
data:	.word	0x11111111, 0x22222222, 0
	.space	64 - 12
	.word	0x33333333
	.space	124 - 68
	.word	0x44444444
	.space	252 - 128
	.word	0x66666666
