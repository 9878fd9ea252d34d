/* The real firmware with one fault, chosen by the build: its hundredth request meets it. Linked with --wrap, so that the
 * calls of blk_request come here first. */
#include "firmware/card.h"

void __wrap_blk_request(struct card *card, unsigned slot);
void __real_blk_request(struct card *card, unsigned slot);

static void misbehave(struct card *card, unsigned slot)
{
	(void)card;
	(void)slot;
#if defined(BROKEN_LOAD) /* an address where nothing is */
	__asm__ volatile("lw zero, 16(zero)");
#elif defined(BROKEN_INSTRUCTION)
	__asm__ volatile("unimp");
#elif defined(BROKEN_ASSERTION)
	firmware_assert(false);
#elif defined(BROKEN_SPIN)   /* never comes back, and the core has no rest */
	for (volatile unsigned i = 0;; i++)
		;
#elif defined(BROKEN_JUMP)   /* a jump to itself with interrupts off: nothing can end it */
	__asm__ volatile("1: j 1b");
#elif defined(BROKEN_SLEEP)  /* sleeps, and has told the core not to wake it */
	__asm__ volatile("csrw mie, zero");
	for (;;)
		hal_wait();
#elif defined(BROKEN_FORGET) /* the request is lost, all others are served */
#elif defined(BROKEN_LIE)    /* says that it is done */
	complete(card, slot, 0, 4097);
#elif defined(BROKEN_TWICE)  /* answered at once, and again when it is done */
	__real_blk_request(card, slot);
	complete(card, slot, 0, 4097);
#else
#error choose a fault
#endif
}

void __wrap_blk_request(struct card *card, unsigned slot)
{
	static unsigned requests;
	if (++requests == 100)
		misbehave(card, slot);
	else
		__real_blk_request(card, slot);
}
