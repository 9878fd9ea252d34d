/* Doorbells on request: with EVENT_IDX the engine asks for one whenever it has nothing left, and looks once more. */
#define EVENT_IDX
#include "ring.pml"
