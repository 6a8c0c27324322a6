/**
 * Every Xid of the driver: code, level, action, mnemonic, title. The level is what a health check makes of it: `info`
 * for what the application did, what the driver has handled, and codes that are not in use.
 * https://docs.nvidia.com/deploy/xid-errors/
 */
export const xidTable = `
1|info|none|ROBUST_CHANNEL_FIFO_ERROR_FIFO_METHOD|Invalid or corrupted push buffer stream
2|info|none|ROBUST_CHANNEL_FIFO_ERROR_SW_METHOD|Invalid or corrupted push buffer stream
3|info|none|ROBUST_CHANNEL_FIFO_ERROR_UNK_METHOD|Invalid or corrupted push buffer stream
4|info|none|ROBUST_CHANNEL_FIFO_ERROR_CHANNEL_BUSY|Invalid or corrupted push buffer stream
5|info|none|ROBUST_CHANNEL_FIFO_ERROR_RUNOUT_OVERFLOW|Unused
6|info|none|ROBUST_CHANNEL_FIFO_ERROR_PARSE_ERR|Invalid or corrupted push buffer stream
7|info|none|ROBUST_CHANNEL_FIFO_ERROR_PTE_ERR|Invalid or corrupted push buffer address
8|info|check_application|ROBUST_CHANNEL_FIFO_ERROR_IDLE_TIMEOUT|GPU stopped processing
9|warning|contact_support|ROBUST_CHANNEL_GR_ERROR_INSTANCE|Driver error programming GPU
10|info|none|ROBUST_CHANNEL_GR_ERROR_SINGLE_STEP|Unused
11|info|check_application|ROBUST_CHANNEL_GR_ERROR_MISSING_HW|Invalid or corrupted push buffer stream
12|warning|contact_support|ROBUST_CHANNEL_GR_ERROR_SW_METHOD|Driver error handling GPU exception
13|info|check_application|ROBUST_CHANNEL_GR_EXCEPTION|Graphics Engine Exception
14|info|none|ROBUST_CHANNEL_FAKE_ERROR|Unused
15|info|none|ROBUST_CHANNEL_SCANLINE_TIMEOUT|Unused
16|warning|contact_support|ROBUST_CHANNEL_VBLANK_CALLBACK_TIMEOUT|Display engine hung
17|info|none|ROBUST_CHANNEL_PARAMETER_ERROR|Unused
18|warning|contact_support|ROBUST_CHANNEL_BUS_MASTER_TIMEOUT_ERROR|Bus mastering disabled in PCI Config Space
19|warning|contact_support|ROBUST_CHANNEL_DISP_MISSED_NOTIFIER|Display Engine error
20|info|none|ROBUST_CHANNEL_MPEG_ERROR_SW_METHOD|Invalid or corrupted Mpeg push buffer
21|info|none|ROBUST_CHANNEL_ME_ERROR_SW_METHOD|Invalid or corrupted Motion Estimation push buffer
22|info|none|ROBUST_CHANNEL_VP_ERROR_SW_METHOD|Invalid or corrupted Video Processor push buffer
23|info|none|ROBUST_CHANNEL_RC_LOGGING_ENABLED|Unused
24|info|none|ROBUST_CHANNEL_GR_SEMAPHORE_TIMEOUT|GPU semaphore timeout
25|info|check_application|ROBUST_CHANNEL_GR_ILLEGAL_NOTIFY|Invalid or illegal push buffer stream
26|warning|contact_support|ROBUST_CHANNEL_FIFO_ERROR_FBISTATE_TIMEOUT|Framebuffer timeout
27|warning|contact_support|ROBUST_CHANNEL_VP_ERROR|Video processor exception
28|warning|contact_support|ROBUST_CHANNEL_VP2_ERROR|Video processor exception
29|warning|contact_support|ROBUST_CHANNEL_BSP_ERROR|Video processor exception
30|warning|contact_support|ROBUST_CHANNEL_BAD_ADDR_ACCESS|GPU semaphore access error
31|info|check_application|ROBUST_CHANNEL_FIFO_ERROR_MMU_ERR_FLT|GPU memory page fault
32|warning|check_application|ROBUST_CHANNEL_PBDMA_ERROR|Invalid or corrupted push buffer stream
33|warning|contact_support|ROBUST_CHANNEL_SEC_ERROR|Internal micro-controller error
34|warning|contact_support|ROBUST_CHANNEL_MSVLD_ERROR|Video processor exception
35|warning|contact_support|ROBUST_CHANNEL_MSPDEC_ERROR|Video processor exception
36|warning|contact_support|ROBUST_CHANNEL_MSPPP_ERROR|Video processor exception
37|info|none|ROBUST_CHANNEL_FECS_ERR_UNIMP_FIRMWARE_METHOD|Driver firmware error
38|warning|contact_support|ROBUST_CHANNEL_FECS_ERR_WATCHDOG_TIMEOUT|Driver firmware error
39|info|check_application|ROBUST_CHANNEL_CE0_ERROR|Copy Engine Exception
40|info|check_application|ROBUST_CHANNEL_CE1_ERROR|Copy Engine Exception
41|info|check_application|ROBUST_CHANNEL_CE2_ERROR|Copy Engine Exception
42|warning|contact_support|ROBUST_CHANNEL_VIC_ERROR|Video processor exception
43|info|check_application|ROBUST_CHANNEL_RESETCHANNEL_VERIF_ERROR|GPU stopped processing
44|warning|contact_support|ROBUST_CHANNEL_GR_FAULT_DURING_CTXSW|Graphics Engine fault during context switch
45|info|none|ROBUST_CHANNEL_PREEMPTIVE_REMOVAL|Preemptive cleanup after an earlier error
46|critical|reset_gpu|ROBUST_CHANNEL_GPU_TIMEOUT_ERROR|GPU stopped processing
47|warning|contact_support|ROBUST_CHANNEL_NVENC0_ERROR|Video processor exception
48|critical|reset_gpu|ROBUST_CHANNEL_GPU_ECC_DBE|Double Bit ECC Error
49|info|none|SILENT_RUNNING_CONSTANT_LEVEL_SET_BY_REGISTRY|Unused
50|info|none|SILENT_RUNNING_LEVEL_TRANSITION_DUE_TO_RC_ERROR|Unused
51|info|none|SILENT_RUNNING_STRESS_TEST_FAILURE|Unused
52|info|none|SILENT_RUNNING_LEVEL_TRANS_DUE_TO_TEMP_RISE|Unused
53|info|none|SILENT_RUNNING_TEMP_REDUCED_CLOCKING|Unused
54|warning|inspect_hardware|SILENT_RUNNING_PWR_REDUCED_CLOCKING|Auxiliary power is not connected to the GPU board
55|info|none|SILENT_RUNNING_TEMPERATURE_READ_ERROR|Unused
56|info|none|DISPLAY_CHANNEL_EXCEPTION|Display Engine error
57|info|none|FB_LINK_TRAINING_FAILURE_ERROR|Error programming video memory interface
58|info|none|FB_MEMORY_ERROR|Unstable video memory interface detected
59|warning|contact_support|PMU_ERROR|Internal micro-controller error (older drivers)
60|warning|check_application|ROBUST_CHANNEL_SEC2_ERROR|Video processor exception
61|warning|contact_support|PMU_BREAKPOINT|Internal micro-controller breakpoint
62|critical|reset_gpu|PMU_HALT_ERROR|Internal micro-controller halt
63|info|none|INFOROM_DRAM_RETIREMENT_EVENT|GPU memory remapping event
64|critical|reset_gpu|INFOROM_DRAM_RETIREMENT_FAILURE|GPU memory remapping failure
65|warning|contact_support|ROBUST_CHANNEL_NVENC1_ERROR|Video processor exception
66|info|none|ROBUST_CHANNEL_FECS_ERR_REG_ACCESS_VIOLATION|Illegal access by driver
67|info|none|ROBUST_CHANNEL_FECS_ERR_VERIF_VIOLATION|Illegal access by driver
68|info|check_application|ROBUST_CHANNEL_NVDEC0_ERROR|NVDEC0 Exception
69|warning|check_application|ROBUST_CHANNEL_GR_CLASS_ERROR|Graphics Engine class error
70|info|check_application|ROBUST_CHANNEL_CE3_ERROR|CE3: Unknown Error
71|info|check_application|ROBUST_CHANNEL_CE4_ERROR|CE4: Unknown Error
72|info|check_application|ROBUST_CHANNEL_CE5_ERROR|CE5: Unknown Error
73|info|none|ROBUST_CHANNEL_NVENC2_ERROR|NVENC2 Error
74|critical|reset_gpu|NVLINK_ERROR|NVLINK Error
75|info|check_application|ROBUST_CHANNEL_CE6_ERROR|CE6: Unknown Error
76|info|check_application|ROBUST_CHANNEL_CE7_ERROR|CE7: Unknown Error
77|info|check_application|ROBUST_CHANNEL_CE8_ERROR|CE8: Unknown Error
78|warning|check_configuration|VGPU_START_ERROR|vGPU Start Error
79|critical|reboot|ROBUST_CHANNEL_GPU_HAS_FALLEN_OFF_THE_BUS|GPU has fallen off the bus
80|info|check_application|PBDMA_PUSHBUFFER_CRC_MISMATCH|Corrupted data sent to GPU
81|warning|contact_support|ROBUST_CHANNEL_VGA_SUBSYSTEM_ERROR|VGA Subsystem Error
82|info|check_application|ROBUST_CHANNEL_NVJPG0_ERROR|NVJPG0 Error
83|info|check_application|ROBUST_CHANNEL_NVDEC1_ERROR|NVDEC1 Error
84|info|check_application|ROBUST_CHANNEL_NVDEC2_ERROR|NVDEC2 Error
85|info|check_application|ROBUST_CHANNEL_CE9_ERROR|CE9: Unknown Error
86|info|check_application|ROBUST_CHANNEL_OFA0_ERROR|OFA Exception
87|info|none|NVTELEMETRY_DRIVER_REPORT|Reserved
88|info|check_application|ROBUST_CHANNEL_NVDEC3_ERROR|NVDEC3 Error
89|info|check_application|ROBUST_CHANNEL_NVDEC4_ERROR|NVDEC4 Error
90|info|none|LTC_ERROR|Reserved
91|info|none|RESERVED_XID|Reserved
92|info|none|EXCESSIVE_SBE_INTERRUPTS|High single-bit ECC error rate
93|info|none|INFOROM_ERASE_LIMIT_EXCEEDED|Non-fatal violation of provisioned InfoROM wear limit
94|warning|check_application|ROBUST_CHANNEL_CONTAINED_ERROR|Contained memory error
95|critical|reset_gpu|ROBUST_CHANNEL_UNCONTAINED_ERROR|Uncontained memory error
96|info|check_application|ROBUST_CHANNEL_NVDEC5_ERROR|NVDEC5 Error
97|info|check_application|ROBUST_CHANNEL_NVDEC6_ERROR|NVDEC6 Error
98|info|check_application|ROBUST_CHANNEL_NVDEC7_ERROR|NVDEC7 Error
99|info|check_application|ROBUST_CHANNEL_NVJPG1_ERROR|NVJPG1 Error
100|info|check_application|ROBUST_CHANNEL_NVJPG2_ERROR|NVJPG2 Error
101|info|check_application|ROBUST_CHANNEL_NVJPG3_ERROR|NVJPG3 Error
102|info|check_application|ROBUST_CHANNEL_NVJPG4_ERROR|NVJPG4 Error
103|info|check_application|ROBUST_CHANNEL_NVJPG5_ERROR|NVJPG5 Error
104|info|check_application|ROBUST_CHANNEL_NVJPG6_ERROR|NVJPG6 Error
105|info|check_application|ROBUST_CHANNEL_NVJPG7_ERROR|NVJPG7 Error
106|info|none|SMBPBI_TEST_MESSAGE|SMBPBI Test Message
107|info|none|SMBPBI_TEST_MESSAGE_SILENT|SMBPBI Test Message Silent
108|info|none|NVLINK_REMOTE_TRANSLATION_ERROR|Reserved
109|warning|reset_gpu|ROBUST_CHANNEL_CTXSW_TIMEOUT_ERROR|Context Switch Timeout Error
110|critical|reset_gpu|SEC_FAULT_ERROR|Security Fault Error
111|info|none|BUNDLE_ERROR_EVENT|Display Bundle Error Event
112|info|none|DISP_SUPERVISOR_ERROR|Display Supervisor Error
113|info|none|DP_LT_FAILURE|DisplayPort link training error
114|info|none|HEAD_RG_UNDERFLOW|Display Pipeline Underflow Error
115|info|none|CORE_CHANNEL_REGS|Display Core Channel Error
116|info|none|WINDOW_CHANNEL_REGS|Display Window Channel Error
117|info|none|CURSOR_CHANNEL_REGS|Display Cursor Channel Error
118|info|none|HEAD_REGS|Display Pixel Pipeline Error
119|critical|reset_gpu|GSP_RPC_TIMEOUT|GSP RPC Timeout
120|critical|reset_gpu|GSP_ERROR|GSP Error
121|warning|contact_support|C2C_ERROR|C2C Error
122|info|none|SPI_PMU_RPC_READ_FAIL|SPI PMU RPC Read Failure
123|warning|contact_support|SPI_PMU_RPC_WRITE_FAIL|SPI PMU RPC Write Failure
124|info|none|SPI_PMU_RPC_ERASE_FAIL|SPI PMU RPC Erase Failure
125|info|none|INFOROM_FS_ERROR|Inforom FS Failure
126|info|check_application|ROBUST_CHANNEL_CE10_ERROR|CE10: Unknown Error
127|info|check_application|ROBUST_CHANNEL_CE11_ERROR|CE11: Unknown Error
128|info|check_application|ROBUST_CHANNEL_CE12_ERROR|CE12: Unknown Error
129|info|check_application|ROBUST_CHANNEL_CE13_ERROR|CE13: Unknown Error
130|info|check_application|ROBUST_CHANNEL_CE14_ERROR|CE14: Unknown Error
131|info|check_application|ROBUST_CHANNEL_CE15_ERROR|CE15: Unknown Error
132|info|check_application|ROBUST_CHANNEL_CE16_ERROR|CE16: Unknown Error
133|info|check_application|ROBUST_CHANNEL_CE17_ERROR|CE17: Unknown Error
134|info|check_application|ROBUST_CHANNEL_CE18_ERROR|CE18: Unknown Error
135|info|check_application|ROBUST_CHANNEL_CE19_ERROR|CE19: Unknown Error
136|critical|reset_gpu|ALI_TRAINING_FAIL|Link Training Failed
137|info|check_application|NVLINK_PRIV_ERR|NVLink Privilege Error
138|info|none|ROBUST_CHANNEL_DLA_ERROR|Reserved
139|info|check_application|ROBUST_CHANNEL_OFA1_ERROR|OFA1 Error
140|critical|reset_gpu|UNRECOVERABLE_ECC_ERROR_ESCAPE|ECC Unrecovered Error
141|info|none|ROBUST_CHANNEL_FAST_PATH_ERROR|CUDA Fast Path Error
142|warning|contact_support|ROBUST_CHANNEL_NVENC3_ERROR|NVENC3 Error
143|critical|reset_gpu|GPU_INIT_ERROR|GPU Initialization Error
144|warning|reset_gpu|NVLINK_SAW_ERROR|NVLINK: SAW Error
145|warning|reset_gpu|NVLINK_RLW_ERROR|NVLINK: RLW Error
146|warning|reset_gpu|NVLINK_TLW_ERROR|NVLINK: TLW Error
147|warning|reset_gpu|NVLINK_TREX_ERROR|NVLINK: TREX Error
148|warning|reset_gpu|NVLINK_NVLPW_CTRL_ERROR|NVLINK: NVLPW_CTRL Error
149|warning|reset_gpu|NVLINK_NETIR_ERROR|NVLINK: NETIR Error
150|warning|reset_gpu|NVLINK_MSE_ERROR|NVLINK: MSE Error
151|critical|reboot|ROBUST_CHANNEL_KEY_ROTATION_ERROR|Key rotation Error
152|info|none|ROBUST_CHANNEL_DLA_SMMU_ERROR|DLA SMMU Error
153|info|none|ROBUST_CHANNEL_DLA_TIMEOUT|DLA timeout Error
154|warning|reset_gpu|GPU_RECOVERY_ACTION_CHANGED|GPU Recovery Action Changed
155|critical|reset_gpu|NVLINK_SW_DEFINED_ERROR|NVLINK: SW Defined Error
156|critical|reset_gpu|RESOURCE_RETIREMENT_EVENT|Resource Retirement Event
157|info|none|RESOURCE_RETIREMENT_FAILURE|Resource Retirement Failure
158|critical|reset_gpu|GPU_FATAL_TIMEOUT|GPU Fatal Timeout
159|info|check_application|ROBUST_CHANNEL_CHI_NON_DATA_ERROR|CHI Non-Data Error
160|info|none|CHANNEL_RETIREMENT_EVENT|Channel Retirement Event
161|info|none|CHANNEL_RETIREMENT_FAILURE|Channel Retirement Failure
162|info|none|PSHC_REENGAGED|Power Smoothing HW Circuitry capability reengaged
163|warning|reboot|PSHC_DISENGAGED|Power Smoothing HW Circuitry capability disengaged
164|info|none|PSHC_LOW_LIFETIME|Power Smoothing HW Circuitry low lifetime reached
165|info|none|PSHC_ZERO_LIFETIME|Power Smoothing HW Circuitry lifetime exhausted
166|warning|reboot|NVLINK_SECURE_CRYPTO_ERR|Traffic before the encrypted link was configured
167|warning|reboot|PCIE_FATAL_TIMEOUT|PCIe fatal timeout
168|warning|inspect_hardware|REDUCED_GPU_MEMORY_CAPACITY|Reduced GPU memory capacity
169|warning|reboot|SEC2_HALT_ERROR|Internal micro-controller halt
170|info|check_application|NVLINK_SECURE_OTHER|NVLink interrupt in confidential computing mode
171|info|none|UNCORRECTABLE_DRAM_ERROR|Uncorrectable DRAM error, details of Xid 48
172|warning|reboot|UNCORRECTABLE_SRAM_ERROR|Uncorrectable SRAM error, details of Xid 48
173|warning|reboot||C2C Fatal Link Failure
`;
