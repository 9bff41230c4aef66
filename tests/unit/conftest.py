from hypothesis import HealthCheck, settings

# No test may depend on how busy the machine is.
settings.register_profile("opskit", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("opskit")
