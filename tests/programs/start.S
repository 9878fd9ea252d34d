# Start of bare C programs: stack, main, and its result to tohost. The memory is zero before the program is loaded, and
# .bss is part of what is loaded, so there is nothing to clear.
	.section .text.start, "ax"
	.globl _start
_start:
	la	sp, stack_top
	la	t0, unexpected_trap
	csrw	mtvec, t0
	call	main
exit_with_a0:
	slli	a0, a0, 1
	ori	a0, a0, 1
	la	t0, tohost
	sw	a0, 0(t0)
1:	j	1b

	.balign 4
unexpected_trap:
	li	a0, 99
	j	exit_with_a0

	.section .tohost, "aw"
	.balign 64
	.globl tohost, fromhost
tohost:	.dword 0
	.balign 64
fromhost:
	.dword 0
