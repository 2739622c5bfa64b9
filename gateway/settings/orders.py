"""Settings of orders to the units below."""

from pydantic import Field

from gateway.settings.base import Section


class OrdersSection(Section):
    """Orders to the units below, and until when they sign for them (指令)."""

    prefix: str = Field(default="指令", min_length=1, max_length=32, description="Begins an order's number (编号).")
    one_person: bool = Field(default=False, description="Whether who drafted an order may sign it too.")
    flash_minutes: int = Field(default=5, ge=1, le=1440, description="Minutes to sign for a flash order (特急).")
    urgent_minutes: int = Field(default=15, ge=1, le=1440, description="Minutes to sign for an urgent order (加急).")
    routine_minutes: int = Field(default=60, ge=1, le=1440, description="Minutes to sign for a routine order (平急).")
    leader_after_minutes: int = Field(
        default=5, ge=1, le=1440, description="So long after that the unit's duty leader is told."
    )
    higher_after_minutes: int = Field(
        default=10, ge=1, le=1440, description="So long after that who leads the duty here is told."
    )
