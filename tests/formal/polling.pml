/* Adaptive polling (firmware/poll.c): the firmware makes the engine poll when it has seen a request, and stops it at any time, when
 * its timer says so. While it polls it wants no doorbells; none may be missing when it has stopped. */
#include "ring.pml"

active proctype firmware()
{
end:	do
	:: atomic { request_seen -> request_seen = false; if :: poll_wanted = true :: true fi }
	:: atomic { poll_wanted -> poll_wanted = false }
	od
}
