/* Reset and traps. Interrupts are never enabled globally (see hal_wait), so every trap is fatal. */
	.section .text.start, "ax"
	.globl _start
_start:
	la sp, stack_top
	la t0, trap
	csrw mtvec, t0
	la t0, bss_start
	la t1, bss_end
1:	bgeu t0, t1, 2f
	sw zero, 0(t0)
	addi t0, t0, 4
	j 1b
2:	li t0, 1 << 11		/* machine external interrupts wake wfi */
	csrw mie, t0
	call main
3:	wfi
	j 3b

	.balign 4
trap:
	csrr a0, mcause
	csrr a1, mepc
	csrr a2, mtval
	j trap_report
