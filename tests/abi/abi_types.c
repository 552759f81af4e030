/* Uses every type of plugin.h, so that abidw(1) sees them all. */
#include <sluice/plugin.h>

SLUICE_EXPORT void sluice_abi_types(const sluice_plugin *plugin, const sluice_host *host,
				    const sluice_flow_info *info, const sluice_probe_input *probe,
				    const sluice_parse_result *result, const sluice_field *field,
				    const sluice_event *event, const sluice_enum_name *name,
				    const sluice_field_form *form, const sluice_expectation *expectation);
void sluice_abi_types(const sluice_plugin *plugin, const sluice_host *host, const sluice_flow_info *info,
		      const sluice_probe_input *probe, const sluice_parse_result *result,
		      const sluice_field *field, const sluice_event *event, const sluice_enum_name *name,
		      const sluice_field_form *form, const sluice_expectation *expectation)
{
	(void)plugin, (void)host, (void)info, (void)probe, (void)result, (void)field, (void)event, (void)name, (void)form,
		(void)expectation;
}
