/* The page of report.html, before and after its data; built by tools/report-ui/build.mjs. */
	.section .rodata
	.global report_page_head, report_page_tail
report_page_head:
	.incbin "build/report-ui/head.html"
	.byte 0
report_page_tail:
	.incbin "build/report-ui/tail.html"
	.byte 0
	.section .note.GNU-stack, "", @progbits
